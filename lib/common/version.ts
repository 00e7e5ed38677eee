/** Of this package. It stands here, because package.json is not beside the code of an application that is bundled. */
export const VERSION = '0.1.0';
