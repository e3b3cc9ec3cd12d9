import { useState } from "preact/hooks";
import { ConflictDialog } from "./conflict-dialog.tsx";
import { act, usePage } from "./context.ts";
import { ListSection } from "./list-section.tsx";
import type { Conflict, ConflictDetails } from "./types.ts";

/** What two nodes wrote at once, and how it was decided. */
export function Conflicts() {
  const page = usePage();
  const { store, words, format, now } = page;
  const [shown, setShown] = useState<ConflictDetails | null>(null);
  const { row, conflict: said } = words;
  const show = ({ id }: Conflict) =>
    act(page, async () => {
      setShown(await store.api.get<ConflictDetails>(`/api/conflicts/${encodeURIComponent(id)}`));
      return null;
    });
  return (
    <>
      <ListSection name="conflicts">
        {(rows) => (
          <table class="rows">
            <thead>
              <tr>
                <th scope="col">{row.table}</th>
                <th scope="col">{row.key}</th>
                <th scope="col">{said.won}</th>
                <th scope="col">{said.lost}</th>
                <th scope="col">{said.decided}</th>
                <th scope="col">
                  <span class="aside">{said.show}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((conflict) => (
                <tr key={conflict.id}>
                  <th scope="row" data-label={row.table}>
                    {conflict.table}
                  </th>
                  <td data-label={row.key}>
                    <code>{conflict.key}</code>
                  </td>
                  <td data-label={said.won}>{conflict.winner.origin}</td>
                  <td data-label={said.lost}>
                    {conflict.loser.origin}{" "}
                    {conflict.restoredAt !== null && <span class="badge note">{said.restoredMark}</span>}
                  </td>
                  <td data-label={said.decided}>{format.ago(conflict.detectedAt, now)}</td>
                  <td class="does">
                    <button
                      type="button"
                      aria-label={said.showLabel(conflict.table, conflict.key)}
                      onClick={() => void show(conflict)}
                    >
                      {said.show}
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </ListSection>
      {shown && <ConflictDialog conflict={shown} onClose={() => setShown(null)} />}
    </>
  );
}
