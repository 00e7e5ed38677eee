/**
 * Knows the channels that telemetry may name: those written in the code, whose number is bounded.
 * Each name composed at run time (`notify('user-' + id)`) would be a time series of its own. Owned
 * by the telemetry.
 */
export class ChannelNames {
  private readonly written = new Set<string>();

  constructor(private readonly isDefined: (channel: string) => boolean) {}

  add(channel: string): void {
    this.written.add(channel);
  }

  has(channel: string): boolean {
    return this.written.has(channel) || this.isDefined(channel);
  }
}
