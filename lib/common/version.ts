/** The version of this package. A bundled application has no package.json nearby. */
export const VERSION = '0.1.0';
