import type { EntityManager } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { createNotificationFactory } from '../../../lib/dispatch/broadcast-notification.js';

const managerNamed = (name: string) => ({ name }) as unknown as EntityManager;

describe('the notification of a broadcast', () => {
  const { signal } = new AbortController();

  it('contains the payload and the context, and no values of a stored notification', () => {
    const create = createNotificationFactory({ manager: () => managerNamed('pool'), signal });
    const notification = create('orders', { id: 1 }, { tenant: 'a' }, 42);

    expect({ ...notification }).toEqual({
      channel: 'orders',
      payload: { id: 1 },
      context: { tenant: 'a' },
      processId: 42,
      id: null,
      attempt: 1,
      createdAt: null,
    });
    expect(notification.signal).toBe(signal);
  });

  it('has the manager that is current at the time of access', () => {
    let current = managerNamed('pool');
    const notification = createNotificationFactory({ manager: () => current, signal })('orders', 1, {}, 42);
    current = managerNamed('transaction');

    expect(notification.manager).toBe(current);
  });

  it('is serialised without the manager', () => {
    const create = createNotificationFactory({ manager: () => expect.fail('asked for a manager'), signal });

    expect(JSON.parse(JSON.stringify(create('orders', 1, {}, 42)))).toEqual({
      channel: 'orders',
      payload: 1,
      context: {},
      processId: 42,
      id: null,
      attempt: 1,
      createdAt: null,
    });
  });
});
