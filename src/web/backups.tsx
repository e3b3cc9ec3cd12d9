import { useState } from "preact/hooks";
import { PlaceNote } from "./backup-place.tsx";
import { BackupTable } from "./backup-table.tsx";
import { Calendar } from "./calendar.tsx";
import { act, usePage } from "./context.ts";
import { Unread } from "./list-section.tsx";
import { RestoreDialog } from "./restore-dialog.tsx";
import type { Backup } from "./types.ts";

/** What backups there are, and what can be done with them. */
export function Backups() {
  const page = usePage();
  const { store, words, format } = page;
  const [restoring, setRestoring] = useState<Backup | null>(null);
  const { backups: list, overview } = store.lists;
  const { backup: said } = words;
  const failure = store.failures.backups ?? store.failures.overview;
  const make = () =>
    act(
      page,
      async () => {
        const { backups } = await store.api.run<{ backups: Backup[] }>("/api/backup/emergency");
        return ({ backup }, { listing }) => backup.nowDone(listing(backups.map(({ id }) => id)));
      },
      "backup emergency",
    );
  const summary = [
    list && said.count(list.backups.length, format.number(list.backups.length)),
    overview?.disk && said.used(format.bytes(overview.disk.usedBytes)),
    overview?.disk && said.free(format.bytes(overview.disk.freeBytes)),
    ...(list?.unsealed ?? []).map((id) => `${id} ${said.beingMade}`),
  ].filter(Boolean);
  return (
    <section id="backups" class="card" aria-labelledby="backups-title">
      <div class="title">
        <h2 id="backups-title">{words.nav.backups}</h2>
        <button type="button" class="main" onClick={() => void make()}>
          {said.now}
        </button>
      </div>
      {failure !== undefined && <Unread text={words.list.failed} original={failure} />}
      <p class="small">{summary.join(" · ")}</p>
      {list && <PlaceNote backups={list.backups} />}
      {list?.backups.length === 0 && <p class="empty">{words.list.empty.backups}</p>}
      {list && (list.backups.length > 0 || list.failures.length > 0) && (
        <>
          <Calendar list={list} />
          <BackupTable backups={list.backups} onRestore={setRestoring} />
        </>
      )}
      {list && list.failures.length > 0 && (
        <>
          <h3>{said.failures}</h3>
          <ol class="log">
            {list.failures.slice(-5).map(({ id, node, failedAt, message }) => (
              <li key={id + failedAt} class="amber">
                <time dateTime={failedAt} title={format.full(failedAt)}>
                  {format.moment(failedAt, page.now)}
                </time>
                <div>
                  <p>
                    {id} · {node}
                  </p>
                  <p class="small long" lang="en">
                    {message}
                  </p>
                </div>
              </li>
            ))}
          </ol>
        </>
      )}
      {restoring && <RestoreDialog backup={restoring} onClose={() => setRestoring(null)} />}
    </section>
  );
}
