import {
  Column,
  CreateDateColumn,
  DeleteDateColumn,
  Entity,
  Generated,
  JoinColumn,
  ManyToOne,
  PrimaryGeneratedColumn,
  UpdateDateColumn,
  VersionColumn,
  type ColumnOptions,
  type ColumnType,
  type ValueTransformer,
} from 'typeorm';
import { inject } from 'vitest';

export enum Colour {
  Red = 'red',
  DarkBlue = 'dark blue',
  Odd = 'odd, "quoted" \\ {one}',
}

export enum Level {
  Low = 1,
  High = 2,
}

const upperCase: ValueTransformer = {
  to: (value: unknown) => value,
  from: (value: string | null) => value?.toUpperCase() ?? 'NOTHING',
};
const inAList: ValueTransformer = { to: (value: unknown) => value, from: (value: unknown) => [value] };

const Maybe = (type: ColumnType, options: ColumnOptions = {}): PropertyDecorator =>
  Column({ type, nullable: true, ...options } as ColumnOptions);

/** Columns of AllTypes that the server of the test run is too old for. */
export const LACKING = new Set<string>();

/** Declares a column that servers from this version on can have. */
const Since =
  (version: number, column: PropertyDecorator): PropertyDecorator =>
  (target, property) => {
    if (inject('serverVersion') >= version) column(target, property);
    else LACKING.add(String(property));
  };

@Entity()
export class Owner {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column()
  name!: string;
}

export class Position {
  @Maybe('numeric', { precision: 10, scale: 6 }) latitude!: string | null;
}

export class Address {
  @Maybe('text') street!: string | null;

  @Column(() => Position)
  position!: Position;

  upperStreet(): string | undefined {
    return this.street?.toUpperCase();
  }
}

/** Almost everything that TypeORM can map to PostgreSQL. */
@Entity()
export class AllTypes {
  @PrimaryGeneratedColumn({ type: 'bigint' })
  id!: string;

  @Column({ type: 'int', default: 0 })
  touched!: number;

  @Maybe('smallint') int2!: number | null;
  @Maybe('int') int4!: number | null;
  @Maybe(Number) emittedNumber!: number | null;
  @Maybe('bigint') int8!: string | null;
  @Maybe('numeric', { precision: 40, scale: 10 }) numeric!: string | null;
  @Maybe('numeric') anyNumeric!: string | null;
  @Maybe('real') float4!: number | null;
  @Maybe('double precision') float8!: number | null;
  @Maybe('money') money!: string | null;
  @Maybe('boolean') bool!: boolean | null;
  @Maybe(Boolean) emittedBool!: boolean | null;
  @Maybe('varchar', { length: 40 }) varchar!: string | null;
  @Maybe('char', { length: 8 }) char!: string | null;
  @Maybe('text') text!: string | null;
  @Maybe('citext') citext!: string | null;
  @Maybe('bytea') bytea!: Buffer | null;
  @Maybe('uuid') uuid!: string | null;

  @Column()
  @Generated('uuid')
  generatedUuid!: string;

  @Maybe('timestamp') timestamp!: Date | null;
  @Maybe(Date) emittedDate!: Date | null;
  @Maybe('timestamp with time zone') timestamptz!: Date | null;
  @Maybe('timestamptz') timestamptzShort!: Date | null;
  @Maybe('date') date!: string | null;
  @Maybe('time') time!: string | null;
  @Maybe('time with time zone') timetz!: string | null;
  @Maybe('interval') interval!: object | null;
  @Maybe('json') json!: unknown;
  @Maybe('jsonb') jsonb!: unknown;
  @Maybe('simple-array') simpleArray!: string[] | null;
  @Maybe('simple-json') simpleJson!: unknown;
  @Maybe('simple-enum', { enum: Colour }) simpleEnum!: Colour | null;
  @Maybe('enum', { enum: Colour }) enum!: Colour | null;
  @Maybe('enum', { enum: Level }) numericEnum!: Level | null;
  @Maybe('enum', { enum: Colour, array: true }) enums!: Colour[] | null;
  @Maybe('enum', { enum: Level, array: true }) numericEnums!: Level[] | null;
  @Maybe('smallint', { array: true }) int2s!: number[] | null;
  @Maybe('int', { array: true }) int4s!: number[] | null;
  @Maybe('bigint', { array: true }) int8s!: string[] | null;
  @Maybe('numeric', { array: true }) numerics!: number[] | null;
  @Maybe('double precision', { array: true }) float8s!: number[] | null;
  @Maybe('boolean', { array: true }) bools!: boolean[] | null;
  @Maybe('text', { array: true }) texts!: string[] | null;
  @Maybe('text', { array: true }) textTable!: string[][] | null;
  @Maybe('citext', { array: true }) citexts!: string | null;
  @Maybe('uuid', { array: true }) uuids!: string[] | null;
  @Maybe('bytea', { array: true }) byteas!: Buffer[] | null;
  @Maybe('timestamp', { array: true }) timestamps!: Date[] | null;
  @Maybe('timestamptz', { array: true }) timestamptzs!: Date[] | null;
  @Maybe('date', { array: true }) dates!: Date[] | null;
  @Maybe('interval', { array: true }) intervals!: object[] | null;
  @Maybe('json', { array: true }) jsons!: unknown[] | null;
  @Maybe('jsonb', { array: true }) jsonbs!: unknown[] | null;
  @Maybe('int4range') int4range!: string | null;
  @Maybe('int8range') int8range!: string | null;
  @Maybe('numrange') numrange!: string | null;
  @Maybe('tsrange') tsrange!: string | null;
  @Maybe('tstzrange') tstzrange!: string | null;
  @Maybe('daterange') daterange!: string | null;
  @Since(140_000, Maybe('tstzmultirange')) tstzmultirange!: string | null;
  @Maybe('tstzrange', { array: true }) tstzranges!: string | null;
  @Maybe('numrange', { array: true }) numranges!: string[] | null;
  @Maybe('point') point!: object | null;
  @Maybe('point', { array: true }) points!: object[] | null;
  @Maybe('line') line!: string | null;
  @Maybe('lseg') lseg!: string | null;
  @Maybe('box') box!: string | null;
  @Maybe('box', { array: true }) boxes!: string | null;
  @Maybe('path') path!: string | null;
  @Maybe('polygon') polygon!: string | null;
  @Maybe('circle') circle!: object | null;
  @Maybe('inet') inet!: string | null;
  @Maybe('cidr') cidr!: string | null;
  @Maybe('macaddr') macaddr!: string | null;
  @Maybe('bit', { length: 5 }) bit!: string | null;
  @Maybe('bit varying') varbit!: string | null;
  @Maybe('xml') xml!: string | null;
  @Maybe('tsvector') tsvector!: string | null;
  @Maybe('tsquery') tsquery!: string | null;
  @Maybe('hstore', { hstoreType: 'object' }) hstore!: object | null;
  @Maybe('hstore', { hstoreType: 'string' }) hstoreText!: string | null;
  @Maybe('ltree') ltree!: string | null;
  @Maybe('cube') cube!: number[] | null;
  @Maybe('cube', { array: true }) cubes!: number[][] | null;
  @Maybe('text', { transformer: upperCase }) transformed!: string | null;
  @Maybe('bigint', { transformer: [inAList, inAList] }) transformedTwice!: unknown;
  @Maybe('text', { name: "Another 'name'" }) renamed!: string | null;

  @Column(() => Address)
  home!: Address;

  @Column(() => Address, { prefix: 'work_' })
  work!: Address;

  @Column(() => Position, { prefix: false })
  place!: Position;

  @Maybe('text', { select: false }) secret!: string | null;
  @Since(120_000, Maybe('int', { asExpression: 'touched * 2', generatedType: 'STORED' })) generated!:
    number | null;

  @ManyToOne(() => Owner, { nullable: true })
  owner!: Owner | null;

  @Maybe('int') keeperId!: number | null;

  @ManyToOne(() => Owner, { nullable: true })
  @JoinColumn()
  keeper!: Owner | null;

  @ManyToOne(() => Owner, { nullable: true, lazy: true })
  friend!: Promise<Owner | null>;

  @CreateDateColumn()
  createdAt!: Date;

  @UpdateDateColumn({ type: 'timestamptz' })
  updatedAt!: Date;

  @DeleteDateColumn()
  deletedAt!: Date | null;

  @VersionColumn({ default: 1 })
  version!: number;
}
