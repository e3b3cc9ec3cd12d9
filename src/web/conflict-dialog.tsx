import { act, usePage } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import type { ConflictDetails } from "./types.ts";

interface Restored {
  readonly node: string;
  readonly changed: boolean;
}

/** Both images of a conflict side by side, and the way back. */
export function ConflictDialog({ conflict, onClose }: { readonly conflict: ConflictDetails; onClose(): void }) {
  const page = usePage();
  const { store, words, format, now } = page;
  const { id, table, key, winner, loser, columns, restoredAt, rule, node } = conflict;
  const { conflict: said } = words;
  const restore = async () => {
    onClose();
    await act(page, async () => {
      const report = await store.api.post<Restored>(`/api/conflicts/${encodeURIComponent(id)}/restore`, { node });
      return (words) =>
        report.changed ? words.conflict.done(table, key, report.node) : words.conflict.unchanged(table, key);
    });
  };
  const value = (image: string | null | undefined, text: string | null) =>
    image === null ? "–" : text === null ? <i class="small">{said.none}</i> : text;
  return (
    <Dialog title={said.title(table, key)} wide onClose={onClose}>
      <p>{said.explain(winner.origin, rule)}</p>
      <table class="images">
        <thead>
          <tr>
            <th scope="col">{said.column}</th>
            {[winner, loser].map((version, i) => (
              <th scope="col" key={version.origin + version.changedAt}>
                {i === 0 ? said.won : said.lost}
                <span class="small">
                  {said.changedAt(version.origin, format.exact(version.changedAt, now))}
                  {version.image === null && `. ${said.missing}`}
                </span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {columns.map(({ column, differs, ...values }) => (
            <tr key={column} class={differs ? "differs" : ""}>
              <th scope="row">
                {column}
                {differs && <span class="badge amber">{said.differs}</span>}
              </th>
              <td>{value(winner.image, values.winner)}</td>
              <td>{value(loser.image, values.loser)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="small">{restoredAt === null ? said.restoreSmall : said.restored(format.ago(restoredAt, now))}</p>
      <div class="buttons">
        <button type="button" onClick={onClose}>
          {words.close}
        </button>
        <button type="button" class="main" onClick={() => void restore()}>
          {said.restore}
        </button>
      </div>
    </Dialog>
  );
}
