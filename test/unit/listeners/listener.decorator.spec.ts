import { Listener, OnChange, OnGap } from 'nestjs-pgpubsub';
import { describe, expect, it } from 'vitest';

class Orders {}

/** Calls the decorator as compilers do that know nothing of its type. */
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
    ['a method that a symbol names', Orders.prototype, Symbol('x'), method, 'Symbol(x) of the class Orders'],
    ['a class', Orders, undefined, undefined, 'the class Orders'],
  ])('on %s is an INVALID_LISTENER that says what to do', (_what, target, name, descriptor, got) => {
    const place = { code: 'INVALID_LISTENER', message: expect.stringContaining(`got it on ${got}. `) };
    expect(() => decorate(create(), target, name, descriptor)).toThrow(expect.objectContaining(place));
    expect(() => decorate(create(), target, name, descriptor)).toThrow('such a method: `receive() {}`.');
  });

  it('as a decorator of ECMAScript is an INVALID_LISTENER that names the option of TypeScript', () => {
    const context = { kind: 'method', name: 'receive' };
    expect(() => decorate(create(), method.value, context)).toThrow(
      expect.objectContaining({
        code: 'INVALID_LISTENER',
        message: expect.stringContaining('the option "experimentalDecorators"'),
      }),
    );
  });

  it('leaves a method of instances as it is', () => {
    expect(() => decorate(create(), Orders.prototype, 'receive', method)).not.toThrow();
  });
});
