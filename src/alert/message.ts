import { scrub } from "../base/scrub.ts";
import type { AlertEvent } from "./event.ts";

const heads: Readonly<Record<AlertEvent["what"], string>> = {
  fired: "ALERT",
  lasts: "STILL",
  cleared: "OVER",
  test: "TEST",
};

const most = 20;

/** Messages hold names and errors of other programs: no line breaks, no secret, and an end. */
function oneLine(text: string): string {
  const line = scrub(text.replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, " ").trim());
  return line.length > 500 ? `${line.slice(0, 499)}…` : line;
}

/** One line for each event, what is grave first; of many the first, and how many more there are. */
export function textOf(events: readonly AlertEvent[]): string {
  const shown = events.slice(0, most).map(({ what, rule, message, remedy, since, at }) => {
    const text = oneLine(message).replace(/[.\s]+$/, "");
    if (what === "cleared") return `${heads[what]} ${rule}: ${text} (from ${minute(since)} to ${minute(at)})`;
    const from = what === "test" ? "" : ` (since ${minute(since)})`;
    return `${heads[what]} ${rule}: ${text}${from}. ${oneLine(remedy)}`.trim();
  });
  const more = events.length - shown.length;
  return [...shown, ...(more > 0 ? [`… and ${more} more; \`tandem status\` has them all`] : [])].join("\n");
}

/** A line that says what all this is about. */
export function titleOf(events: readonly AlertEvent[]): string {
  const [first] = events;
  if (!first) return "Tandem";
  const more = events.length > 1 ? ` (and ${events.length - 1} more)` : "";
  return `Tandem ${heads[first.what]} ${first.rule}${first.subject === "" ? "" : ` ${first.subject}`}${more}`;
}

/** What a webhook is sent. */
export function documentOf(events: readonly AlertEvent[], sender: string): object {
  return {
    sender,
    text: textOf(events),
    events: events.map((event) => ({ ...event, message: oneLine(event.message), remedy: oneLine(event.remedy) })),
  };
}

/** In order of gravity: what is new, what lasts, what is over. */
export function sorted(events: readonly AlertEvent[]): AlertEvent[] {
  const order = ["fired", "lasts", "cleared", "test"];
  return events.toSorted((a, b) => order.indexOf(a.what) - order.indexOf(b.what));
}

/** `2026-11-22 12:03 UTC` */
function minute(iso: string): string {
  return `${iso.slice(0, 16).replace("T", " ")} UTC`;
}
