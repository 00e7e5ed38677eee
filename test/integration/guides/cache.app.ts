import { Injectable } from '@nestjs/common';
import {
  NotifyChanges,
  OnChange,
  OnGap,
  PubSubService,
  type EntityChange,
} from 'nestjs-pgpubsub';
import { Column, DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** The code of docs/guides/cache-invalidation.md. */

@Entity()
@NotifyChanges({ columns: ['id'] }) // enough to delete an entry
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
    // The promise, not its value: a change may arrive during the load.
    this.products.set(id, loading);
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

/** Reads from the database while no changes can arrive. */
@Injectable()
export class CarefulProductCache extends ProductCache {
  private isListening = false;

  constructor(dataSource: DataSource, pubsub: PubSubService) {
    super(dataSource);
    pubsub.connection$.subscribe((state) => {
      this.isListening = state === 'listening';
      if (!this.isListening) this.forgetAll();
    });
  }

  override find(id: number): Promise<Product | null> {
    return this.isListening ? super.find(id) : this.load(id);
  }
}
