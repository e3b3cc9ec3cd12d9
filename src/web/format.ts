/** How numbers, times and sizes are written in a language, in the reader's own time zone. */
export interface Format {
  readonly locale: string;
  /** `12,345`. */
  number(n: number): string;
  /** `12,345.6`. */
  tenths(n: number): string;
  /** `12K` for 12,000: a number where there is little room. */
  short(n: number): string;
  /** `1.2 MB`; decimal units. */
  bytes(n: number): string;
  /** `12:03` of today, else with the date. */
  moment(iso: string, now: number): string;
  /** `12:03:04.123` of today, else with the date: to tell which of two moments was later. */
  exact(iso: string, now: number): string;
  /** Date and time in full. */
  full(iso: string): string;
  /** `4 s`, `90 min`, `3 days`: the largest unit of which there are two. */
  duration(ms: number): string;
  /** `48 ms` below two seconds, else as a duration: how long something took. */
  took(ms: number): string;
  /** `4 min ago`, `yesterday`. */
  ago(iso: string, now: number): string;
  /** `a, b and c`. */
  listing(words: readonly string[]): string;
  /** A day as `12 November`. */
  day(date: Date): string;
}

const units = [
  [86_400_000, "day"],
  [3_600_000, "hour"],
  [60_000, "minute"],
  [1_000, "second"],
] as const;

const minute = 60_000;

/** The format of a language, `en` or `pt-BR`. */
export function formatOf(locale: string, timeZone?: string): Format {
  // English with a clock of 24 hours, as the sentences of the sidecar have it.
  const tag = locale === "en" ? "en-GB" : locale;
  const time = new Intl.DateTimeFormat(tag, { hour: "2-digit", minute: "2-digit", timeZone });
  const exact = new Intl.DateTimeFormat(tag, { timeStyle: "medium", timeZone });
  const milliseconds = new Intl.DateTimeFormat(tag, { fractionalSecondDigits: 3, timeZone });
  const short = new Intl.DateTimeFormat(tag, { day: "numeric", month: "short", timeZone });
  const full = new Intl.DateTimeFormat(tag, { dateStyle: "long", timeStyle: "medium", timeZone });
  const long = new Intl.DateTimeFormat(tag, { day: "numeric", month: "long", timeZone });
  const dayKey = new Intl.DateTimeFormat("sv", { dateStyle: "short", timeZone });
  const days = new Intl.RelativeTimeFormat(tag, { numeric: "auto" });
  const hours = new Intl.RelativeTimeFormat(tag, { numeric: "always" });
  const number = new Intl.NumberFormat(locale);
  const tenths = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
  const shortNumber = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 });
  const list = new Intl.ListFormat(locale, { type: "conjunction" });
  const daysBetween = (from: number, to: number) =>
    Math.round((Date.parse(dayKey.format(to)) - Date.parse(dayKey.format(from))) / 86_400_000);
  const duration = (ms: number) => {
    const [size, unit] = units.find(([each]) => ms >= 2 * each) ?? [1_000, "second"];
    const n = Math.max(0, Math.floor(ms / size));
    if (unit !== "day") return `${number.format(n)} ${unit === "hour" ? "h" : unit === "minute" ? "min" : "s"}`;
    return new Intl.NumberFormat(tag, { style: "unit", unit, unitDisplay: "long" }).format(n);
  };
  const dayOf = (at: number, now: number, text: string) =>
    daysBetween(at, now) === 0 ? text : `${short.format(at)}, ${text}`;
  return {
    locale,
    number: (n) => number.format(n),
    tenths: (n) => tenths.format(n),
    short: (n) => (n < 10_000 ? tenths : shortNumber).format(n),
    bytes: (n) => bytesIn(locale, n),
    moment: (iso, now) => {
      const at = Date.parse(iso);
      return dayOf(at, now, time.format(at));
    },
    exact: (iso, now) => {
      const at = Date.parse(iso);
      return dayOf(at, now, `${exact.format(at)}.${milliseconds.format(at).padStart(3, "0")}`);
    },
    full: (iso) => full.format(Date.parse(iso)),
    duration,
    took: (ms) => (ms < 2_000 ? `${number.format(Math.ceil(ms))} ms` : duration(ms)),
    ago: (iso, now) => {
      const at = Date.parse(iso);
      const passed = now - at;
      if (passed < 2 * minute * 60) return agoIn(locale, duration(passed));
      const between = daysBetween(at, now);
      return between === 0 ? hours.format(-Math.floor(passed / (60 * minute)), "hour") : days.format(-between, "day");
    },
    listing: (words) => list.format(words).replace(/, and /, " and "),
    day: (date) => long.format(date),
  };
}

function agoIn(locale: string, text: string): string {
  return locale === "pt-BR" ? `há ${text}` : `${text} ago`;
}

function bytesIn(locale: string, n: number): string {
  const names = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;
  let size = n;
  let step = 0;
  while (size >= 1_000 && step < names.length - 1) {
    size /= 1_000;
    step += 1;
  }
  const maximumFractionDigits = size < 10 && step > 0 ? 1 : 0;
  // The short form of a byte has no plural.
  const unitDisplay = step === 0 ? "long" : "short";
  return new Intl.NumberFormat(locale, { style: "unit", unit: names[step], unitDisplay, maximumFractionDigits }).format(
    size,
  );
}
