/**
 * A moment (`timestamptz`) has no time zone: its text is in the zone of the session that reads it.
 * The text of a row can therefore differ between a session in another zone and the DataSource's.
 * This matters where the text is kept: in ranges, and when the application has pg return moments as
 * text.
 */

const MOMENT =
  /(?<year>\d{4,})-(?<month>\d\d)-(?<day>\d\d) (?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)(?<fraction>\.\d+)?(?<sign>[+-])(?<hours>\d\d)(?::(?<minutes>\d\d))?(?::(?<seconds>\d\d))?(?<bc> BC)?/g;

type MomentParts = Readonly<Record<string, string | undefined>>;

const SECOND_MS = 1_000;

/**
 * Creates a function that converts all moments in a text to `timeZone`. A zone that JavaScript does
 * not know (POSIX rules such as `<+05>-05`, `localtime`) leaves them unchanged.
 */
export function createZoneConverter(timeZone: string): (text: string) => string {
  const offsetAt = createOffsets(timeZone);
  if (offsetAt === null) return (text) => text;
  return (text) =>
    text.replace(MOMENT, (...found) => {
      const [written] = found;
      const parts = found.at(-1) as MomentParts; // replace() passes the named groups last
      const moment = momentOf(parts);
      if (Number.isNaN(moment)) return written; // a year beyond JavaScript's range
      return renderMoment(moment, offsetAt(moment), parts);
    });
}

/** Returns the zone's offset from UTC in seconds, at a time in milliseconds; null if unknown. */
function createOffsets(timeZone: string): ((moment: number) => number) | null {
  try {
    const format = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
    return (moment) => {
      const name = format.formatToParts(moment).find(({ type }) => type === 'timeZoneName')?.value ?? '';
      const [, sign, hours, minutes, seconds] = /([+-])(\d\d):(\d\d)(?::(\d\d))?/.exec(name) ?? [];
      return offsetSeconds({ sign, hours, minutes, seconds });
    };
  } catch {
    return null;
  }
}

const offsetSeconds = ({ sign, hours = '0', minutes = '0', seconds = '0' }: MomentParts): number =>
  (sign === '-' ? -1 : 1) * (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds));

/** Returns milliseconds since 1970, without the fraction of the second, which no zone changes. */
function momentOf(parts: MomentParts): number {
  const year = parts['bc'] === undefined ? Number(parts['year']) : 1 - Number(parts['year']);
  const local = new Date(0);
  local.setUTCFullYear(year, Number(parts['month']) - 1, Number(parts['day']));
  local.setUTCHours(Number(parts['hour']), Number(parts['minute']), Number(parts['second']));
  return local.getTime() - offsetSeconds(parts) * SECOND_MS;
}

/** Formats a moment as DateStyle ISO. */
function renderMoment(moment: number, offset: number, { fraction = '' }: MomentParts): string {
  const local = new Date(moment + offset * SECOND_MS);
  const year = local.getUTCFullYear();
  const date = [
    String(year > 0 ? year : 1 - year).padStart(4, '0'),
    twoDigits(local.getUTCMonth() + 1),
    twoDigits(local.getUTCDate()),
  ].join('-');
  const time = [local.getUTCHours(), local.getUTCMinutes(), local.getUTCSeconds()].map(twoDigits).join(':');
  return `${date} ${time}${fraction}${renderOffset(offset)}${year > 0 ? '' : ' BC'}`;
}

function renderOffset(offset: number): string {
  const ahead = Math.abs(offset);
  const parts = [Math.floor(ahead / 3_600), Math.floor(ahead / 60) % 60, ahead % 60];
  while (parts.length > 1 && parts.at(-1) === 0) parts.pop();
  return (offset < 0 ? '-' : '+') + parts.map(twoDigits).join(':');
}

const twoDigits = (value: number): string => String(value).padStart(2, '0');
