/**
 * Marks the instances of a class. The mark is a registered symbol, so that another copy of this package recognizes them:
 * `instanceof` does not, and package managers install several copies in one application.
 */
export function brandInstances({ prototype }: { readonly prototype: object }, brand: symbol): void {
  Object.defineProperty(prototype, brand, { value: true });
}

/** Whether a value has the mark. Never throws: the value may be a proxy that does. */
export function hasBrand(value: unknown, brand: symbol): boolean {
  try {
    return typeof value === 'object' && value !== null && brand in value;
  } catch {
    return false;
  }
}
