/**
 * Marks the instances of a class with a registered symbol. Unlike `instanceof`, `hasBrand()`
 * recognizes those of another copy of this package, too: package managers may install several
 * copies.
 */
export function brandInstances({ prototype }: { readonly prototype: object }, brand: symbol): void {
  Object.defineProperty(prototype, brand, { value: true });
}

/** Whether a value has the mark. Never throws, even if the value is a proxy that does. */
export function hasBrand(value: unknown, brand: symbol): boolean {
  try {
    return typeof value === 'object' && value !== null && brand in value;
  } catch {
    return false;
  }
}
