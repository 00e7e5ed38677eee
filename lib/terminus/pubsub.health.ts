/** The health of an instance, for \`@nestjs/terminus\`. */
export const PENDING = true;
