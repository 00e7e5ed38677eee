/**
 * Which channels telemetry may call by name: those that are written in the code, and so bounded in number. Names that are
 * made up at run time (`notify('user-' + id)`) would each be a time series that never ends. Owned by the telemetry.
 */
export class ChannelNames {
  private readonly written = new Set<string>();

  /** `isDefined`: the application has a definition of that name. */
  constructor(private readonly isDefined: (channel: string) => boolean) {}

  /** It stands in a decorator or a module. */
  add(channel: string): void {
    this.written.add(channel);
  }

  has(channel: string): boolean {
    return this.written.has(channel) || this.isDefined(channel);
  }
}
