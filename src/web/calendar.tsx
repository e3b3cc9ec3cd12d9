import { usePage } from "./context.ts";
import type { BackupList } from "./types.ts";
import { useNarrow } from "./use-narrow.ts";

interface Day {
  readonly date: Date;
  good: number;
  proven: number;
  bad: number;
}

const cell = 14;

/** The last months, a square a day: whether a backup was made, proven, or failed. */
export function Calendar({ list }: { readonly list: BackupList }) {
  const { words, format, now } = usePage();
  const narrow = useNarrow();
  const weeks = narrow ? 20 : 53;
  const days = daysOf(list, weeks, now);
  const all = [...days.values()];
  const { legend } = words.backup;
  const label = words.backup.calendarLabel(
    format.number(all.filter(({ good }) => good > 0).length),
    format.number(all.filter(({ bad }) => bad > 0).length),
  );
  return (
    <figure class="calendar">
      <figcaption>{words.backup.calendar}</figcaption>
      <svg viewBox={`0 0 ${weeks * cell} ${7 * cell}`} role="img" aria-label={label}>
        {all.map((day, i) => (
          <rect
            key={day.date.getTime()}
            class={toneOf(day)}
            x={Math.floor(i / 7) * cell + 1}
            y={(i % 7) * cell + 1}
            width={cell - 2}
            height={cell - 2}
            rx="3"
          >
            <title>{words.backup.cell(format.day(day.date), day.good, day.bad)}</title>
          </rect>
        ))}
      </svg>
      <ul class="legend">
        {(["none", "good", "proven", "failed"] as const).map((tone) => (
          <li key={tone}>
            <span class={`swatch ${tone}`} aria-hidden="true" />
            {legend[tone]}
          </li>
        ))}
      </ul>
    </figure>
  );
}

function toneOf({ good, proven, bad }: Day): string {
  if (bad > 0) return "failed";
  return proven > 0 ? "proven" : good > 0 ? "good" : "none";
}

/** Days by their name, whole weeks that end with the one of today; the reader's own days. */
function daysOf({ backups, failures }: BackupList, weeks: number, now: number): Map<string, Day> {
  const today = new Date(now);
  const days = new Map<string, Day>();
  const first = new Date(today.getFullYear(), today.getMonth(), today.getDate() - today.getDay() - (weeks - 1) * 7);
  for (let i = 0; ; i += 1) {
    const date = new Date(first.getFullYear(), first.getMonth(), first.getDate() + i);
    if (date > today) break;
    days.set(date.toDateString(), { date, good: 0, proven: 0, bad: 0 });
  }
  const dayOf = (iso: string) => days.get(new Date(iso).toDateString());
  for (const { startedAt, state, level } of backups) {
    const day = dayOf(startedAt);
    if (!day) continue;
    if (state === "damaged") day.bad += 1;
    else day.good += 1;
    if (level === 3 && state !== "damaged") day.proven += 1;
  }
  for (const { failedAt } of failures) {
    const day = dayOf(failedAt);
    if (day) day.bad += 1;
  }
  return days;
}
