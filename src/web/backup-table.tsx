import { useState } from "preact/hooks";
import { Place } from "./backup-place.tsx";
import { act, usePage } from "./context.ts";
import type { Backup } from "./types.ts";

interface Proof {
  readonly id: string;
  readonly asked: number;
  readonly reached: number | null;
  readonly error: { readonly message: string } | null;
}

const shortList = 12;

/** The backups, the newest first. */
export function BackupTable({
  backups,
  onRestore,
}: {
  readonly backups: readonly Backup[];
  onRestore(b: Backup): void;
}) {
  const page = usePage();
  const { store, words, format, now } = page;
  const [all, setAll] = useState(false);
  const { backup: said } = words;
  const newest = [...backups].reverse();
  const shown = all ? newest : newest.slice(0, shortList);
  const largest = Math.max(1, ...backups.map(({ bytes }) => bytes));
  const verify = ({ id }: Backup) =>
    act(
      page,
      async () => {
        const { asked, reached, error } = await store.api.run<Proof>(`/api/backups/${encodeURIComponent(id)}/verify`);
        const level = reached ?? 0;
        if (reached !== null && level >= asked) return ({ backup }) => backup.verified(id, backup.levels[level] ?? "");
        const original = () => error?.message ?? "";
        store.tell(({ backup }) => backup.unverified(id, backup.levels[level] ?? ""), { good: false, original });
        return null;
      },
      "backup verify",
    );
  return (
    <>
      <table class="rows">
        <caption class="aside">{words.nav.backups}</caption>
        <thead>
          <tr>
            <th scope="col">{said.name}</th>
            <th scope="col">{said.made}</th>
            <th scope="col">{said.of}</th>
            <th scope="col">{said.level}</th>
            <th scope="col">{said.size}</th>
            <th scope="col" class="number">
              {said.rows}
            </th>
            <th scope="col">{said.place}</th>
            <th scope="col">
              <span class="aside">{said.verify}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {shown.map((backup) => (
            <tr key={backup.id}>
              <th scope="row" data-label={said.name}>
                <span>
                  <code>{backup.id}</code> {backup.label !== null && <span class="badge note">{backup.label}</span>}{" "}
                  {backup.pinned && <span class="badge note">{said.pinned}</span>}{" "}
                  {backup.state !== "complete" && (
                    <span class="badge amber" title={backup.reason ?? ""}>
                      {said.states[backup.state]}
                    </span>
                  )}
                </span>
              </th>
              <td data-label={said.made} title={format.full(backup.startedAt)}>
                {format.ago(backup.finishedAt ?? backup.startedAt, now)}
              </td>
              <td data-label={said.of}>
                {backup.node ?? "–"} {backup.job !== null && <span class="small">{said.job(backup.job)}</span>}
              </td>
              <td data-label={said.level}>
                <Level level={backup.level} />
              </td>
              <td data-label={said.size}>
                <span class="size">
                  {format.bytes(backup.bytes)}
                  <progress max={largest} value={backup.bytes} aria-hidden="true" />
                </span>
              </td>
              <td data-label={said.rows} class="number">
                {format.number(backup.rows)}
              </td>
              <td data-label={said.place}>
                <Place backup={backup} />
              </td>
              <td class="does">
                <button type="button" aria-label={said.verifyLabel(backup.id)} onClick={() => void verify(backup)}>
                  {said.verify}
                </button>
                <button type="button" aria-label={said.restoreLabel(backup.id)} onClick={() => onRestore(backup)}>
                  {said.restore}
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {newest.length > shown.length && (
        <button type="button" onClick={() => setAll(true)}>
          {words.list.showAll(format.number(newest.length))}
        </button>
      )}
    </>
  );
}

/** How far a backup is proven: 0 sealed to 3 equal in content. */
function Level({ level }: { readonly level: Backup["level"] }) {
  const { words } = usePage();
  return (
    <span class="level">
      <svg viewBox="0 0 34 10" aria-hidden="true" focusable="false">
        {[1, 2, 3].map((step) => (
          <rect key={step} x={(step - 1) * 12} width="10" height="10" rx="3" class={step <= level ? "full" : ""} />
        ))}
      </svg>
      {words.backup.levels[level]}
    </span>
  );
}
