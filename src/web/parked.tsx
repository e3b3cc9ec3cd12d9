import { useState } from "preact/hooks";
import { act, usePage } from "./context.ts";
import { DropDialog } from "./drop-dialog.tsx";
import { ListSection } from "./list-section.tsx";
import type { ParkedRow } from "./types.ts";

/** In words of the page, where the sidecar's are in another language; those stand below. */
function Why({ kind, reason }: ParkedRow) {
  const own = usePage().words.parked.kind(kind);
  return (
    <span>
      {own}
      {own !== null && <br />}
      <span class={own === null ? "" : "small"} lang="en">
        {reason}
      </span>
    </span>
  );
}

/** Rows that could not be applied, and why. */
export function Parked() {
  const page = usePage();
  const { store, words, format, now } = page;
  const [dropping, setDropping] = useState<ParkedRow | null>(null);
  const { row, parked: said } = words;
  const retry = ({ id, node, table, key }: ParkedRow) =>
    act(page, async () => {
      await store.api.post(`/api/parked/${id}/retry`, { node });
      return ({ parked }) => parked.retried(table, key);
    });
  return (
    <>
      <ListSection name="parked">
        {(rows) => (
          <table class="rows">
            <thead>
              <tr>
                <th scope="col">{row.table}</th>
                <th scope="col">{row.key}</th>
                <th scope="col">{row.node}</th>
                <th scope="col">{row.from}</th>
                <th scope="col">{row.why}</th>
                <th scope="col">{row.since}</th>
                <th scope="col" class="number">
                  {row.tries}
                </th>
                <th scope="col">
                  <span class="aside">{said.retry}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((each) => (
                <tr key={`${each.node} ${each.id}`}>
                  <th scope="row" data-label={row.table}>
                    {each.table}
                  </th>
                  <td data-label={row.key}>
                    <code>{each.key}</code>
                  </td>
                  <td data-label={row.node}>{each.node}</td>
                  <td data-label={row.from}>{each.peer}</td>
                  <td data-label={row.why} class="long">
                    <Why {...each} />
                  </td>
                  <td data-label={row.since}>{format.ago(each.parkedAt, now)}</td>
                  <td data-label={row.tries} class="number">
                    {format.number(each.attempts)}
                  </td>
                  <td class="does">
                    <button
                      type="button"
                      aria-label={said.retryLabel(each.table, each.key)}
                      onClick={() => void retry(each)}
                    >
                      {said.retry}
                    </button>
                    <button
                      type="button"
                      class="danger"
                      aria-label={said.dropLabel(each.table, each.key)}
                      onClick={() => setDropping(each)}
                    >
                      {said.drop}
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </ListSection>
      {dropping && <DropDialog row={dropping} onClose={() => setDropping(null)} />}
    </>
  );
}
