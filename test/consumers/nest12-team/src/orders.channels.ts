import { defineChannel } from 'nestjs-pgpubsub';

export const OrderPlaced = defineChannel<{ orderId: number }>('order_placed');

export const OrderToPrint = defineChannel<{ orderId: number; customer: string }>('order_to_print', {
  delivery: 'exactly-once',
  retry: { minDelayMs: 1, maxDelayMs: 100 },
});
