/**
 * Splits a stream of bytes into messages: one byte for the type (none for the startup), four for
 * the length.
 */
export class Messages {
  private rest: Buffer = Buffer.alloc(0);
  private isStartup: boolean;

  constructor({ hasStartup = false } = {}) {
    this.isStartup = hasStartup;
  }

  /** Returns the complete messages. */
  read(chunk: Buffer): Buffer[] {
    this.rest = Buffer.concat([this.rest, chunk]);
    const messages: Buffer[] = [];
    for (;;) {
      const lengthAt = this.isStartup ? 0 : 1;
      if (this.rest.length < lengthAt + 4) return messages;
      const end = lengthAt + this.rest.readInt32BE(lengthAt);
      if (this.rest.length < end) return messages;
      messages.push(this.rest.subarray(0, end));
      this.rest = this.rest.subarray(end);
      this.isStartup = false;
    }
  }
}

export const typeOf = (bytes: Buffer): string => String.fromCharCode(bytes[0] ?? 0);

export const isReady = (bytes: Buffer): boolean => typeOf(bytes) === 'Z';

export function message(type: string, text: string): Buffer {
  const body = Buffer.from(text);
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

/** The error with which the server ends a session for an administrator. */
export const TERMINATED = message(
  'E',
  'SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0',
);
