import { Listener, OnChange, OnGap } from 'nestjs-pgpubsub';
import { describe, expect, it } from 'vitest';

class Orders {}

/** Calls the decorator without regard to its type, as a compiler may do. */
const decorate = (decorator: MethodDecorator, ...args: unknown[]) =>
  (decorator as (...args: unknown[]) => void)(...args);

const accessor = { get: () => 1, configurable: true };
const method = { value: () => 1, configurable: true };

describe.each([
  ['@Listener()', () => Listener('orders')],
  ['@OnChange()', () => OnChange(Orders)],
  ['@OnGap()', () => OnGap()],
])('%s', (_name, create) => {
  it.each([
    ['a property', Orders.prototype, 'receive', undefined, 'receive of the class Orders'],
    ['an accessor', Orders.prototype, 'receive', accessor, 'receive of the class Orders'],
    ['a static method', Orders, 'receive', method, 'receive of the class Orders'],
    ['a static property', Orders, 'receive', undefined, 'receive of the class Orders'],
    [
      'a method whose name is a symbol',
      Orders.prototype,
      Symbol('x'),
      method,
      'Symbol(x) of the class Orders',
    ],
    ['a class', Orders, undefined, undefined, 'the class Orders'],
  ])('throws INVALID_LISTENER with a remedy on %s', (_what, target, name, descriptor, got) => {
    const place = { code: 'INVALID_LISTENER', message: expect.stringContaining(`got one on ${got}. `) };
    expect(() => decorate(create(), target, name, descriptor)).toThrow(expect.objectContaining(place));
    expect(() => decorate(create(), target, name, descriptor)).toThrow('an instance method: `receive() {}`.');
  });

  it('throws INVALID_LISTENER as an ECMAScript decorator and names the option of TypeScript', () => {
    const context = { kind: 'method', name: 'receive' };
    expect(() => decorate(create(), method.value, context)).toThrow(
      expect.objectContaining({
        code: 'INVALID_LISTENER',
        message: expect.stringContaining('the option "experimentalDecorators"'),
      }),
    );
  });

  it('accepts an instance method', () => {
    expect(() => decorate(create(), Orders.prototype, 'receive', method)).not.toThrow();
  });
});
