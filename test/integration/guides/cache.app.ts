import { Injectable } from '@nestjs/common';
import { NotifyChanges, OnChange, OnGap, PubSubService, type EntityChange } from 'nestjs-pgpubsub';
import { Column, DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** What docs/guides/cache-invalidation.md shows. */

@Entity()
@NotifyChanges({ columns: ['id'] }) // who forgets needs to know which one, and no more
export class Product {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  name!: string;

  @Column('int', { default: 0 })
  price!: number;
}

@Injectable()
export class ProductCache {
  private readonly products = new Map<number, Promise<Product | null>>();

  constructor(private readonly dataSource: DataSource) {}

  find(id: number): Promise<Product | null> {
    const known = this.products.get(id);
    if (known) return known;
    const loading = this.load(id);
    this.products.set(id, loading); // the promise, not its value: a change may come while it is being loaded
    loading.catch(() => this.products.delete(id));
    return loading;
  }

  @OnChange(Product)
  forget({ entity }: EntityChange<Product>): void {
    if (entity) this.products.delete(entity.id);
  }

  @OnGap()
  forgetAll(): void {
    this.products.clear();
  }

  protected load(id: number): Promise<Product | null> {
    return this.dataSource.manager.findOneBy(Product, { id });
  }
}

/** For what must not be old: while nobody tells of changes, the database is asked. */
@Injectable()
export class CarefulProductCache extends ProductCache {
  private hears = false;

  constructor(dataSource: DataSource, pubsub: PubSubService) {
    super(dataSource);
    pubsub.connection$.subscribe((state) => {
      this.hears = state === 'listening';
      if (!this.hears) this.forgetAll();
    });
  }

  override find(id: number): Promise<Product | null> {
    return this.hears ? super.find(id) : this.load(id);
  }
}
