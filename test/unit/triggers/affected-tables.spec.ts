import { describe, expect, it } from 'vitest';
import { isAffected } from '../../../lib/triggers/affected-tables.js';

const DEFINITION = `CREATE TRIGGER t AFTER UPDATE ON public.orders FOR EACH ROW WHEN (new.status = 'open'::public.orders_status_enum)`;

/** Whether the statements of TypeORM affect a trigger of the table `orders`. */
const touches = (up: string, down = 'select 1') =>
  isAffected(
    { table: 'orders', before: [{ up: 'drop trigger' }, { down: DEFINITION }], after: [] },
    { up: [{ query: 'select 1' }, { query: up }], down: [{ query: down }] },
  );

describe('a trigger is created again', () => {
  it.each([
    'ALTER TABLE "orders" ALTER COLUMN "amount" TYPE bigint',
    'ALTER TABLE "app"."orders" ALTER COLUMN "The ""amount""" TYPE numeric(1,2)',
    'ALTER TABLE "orders" ALTER COLUMN "amount" SET DATA TYPE bigint',
    'ALTER TABLE "orders" DROP COLUMN "note"',
    'ALTER TABLE "orders" RENAME COLUMN "amount" TO "total"',
    'ALTER TABLE "order" RENAME TO "orders"',
    'ALTER TYPE "public"."orders_status_enum" RENAME TO "orders_status_enum_old"',
    `ALTER TYPE "public"."orders_status_enum" ADD VALUE 'sent'`,
    'DROP TYPE "orders_status_enum"',
  ])('for %s', (up) => {
    expect(touches(up)).toBe(true);
  });

  it('when the down migration changes the type of a column, as it does to remove a value of an enum', () => {
    const up = `ALTER TYPE "public"."other_enum" ADD VALUE 'sent'`;
    expect(touches(up, 'ALTER TABLE "orders" ALTER COLUMN "other" TYPE "public"."other_enum_old"')).toBe(
      true,
    );
  });
});

describe('a trigger is kept', () => {
  it.each([
    ['ALTER TABLE "orders" ADD "note" text', 'ALTER TABLE "orders" DROP COLUMN "note"'],
    ['ALTER TABLE "orders" ALTER COLUMN "note" SET DEFAULT 5', 'ALTER TABLE "orders" ALTER COLUMN "note" DROP DEFAULT'],
    ['ALTER TABLE "orders" ALTER COLUMN "type" SET NOT NULL', 'ALTER TABLE "orders" ALTER COLUMN "type" DROP NOT NULL'],
    ['ALTER TABLE "orders_archive" DROP COLUMN "note"', 'ALTER TABLE "orders_archive" ADD "note" text'],
    ['CREATE INDEX "i" ON "orders" ("note")', 'DROP INDEX "i"'],
    [`ALTER TYPE "public"."other_enum" ADD VALUE 'sent'`, 'ALTER TABLE "other" ALTER COLUMN "a" TYPE "public"."other_enum_old"'],
    ['DROP TYPE "public"."other_enum"', `CREATE TYPE "public"."other_enum" AS ENUM('a')`],
  ])('for %s', (up, down) => {
    expect(touches(up, down)).toBe(false);
  }); // prettier-ignore
});
