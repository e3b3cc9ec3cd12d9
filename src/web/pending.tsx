import { usePage } from "./context.ts";
import { ListSection } from "./list-section.tsx";

/** Changes that have not arrived everywhere yet. */
export function Pending() {
  const { words, format, now } = usePage();
  const { row } = words;
  return (
    <ListSection name="pending">
      {(rows) => (
        <table class="rows">
          <thead>
            <tr>
              <th scope="col">{row.table}</th>
              <th scope="col">{row.key}</th>
              <th scope="col">{row.what}</th>
              <th scope="col">{row.from}</th>
              <th scope="col">{row.to}</th>
              <th scope="col">{row.since}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ node, peer, table, op, key, changedAt }) => (
              <tr key={`${node} ${peer} ${table} ${key} ${changedAt}`}>
                <th scope="row" data-label={row.table}>
                  {table}
                </th>
                <td data-label={row.key}>
                  <code>{key}</code>
                </td>
                <td data-label={row.what}>{row.operations[op]}</td>
                <td data-label={row.from}>{node}</td>
                <td data-label={row.to}>{peer}</td>
                <td data-label={row.since}>{format.ago(changedAt, now)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </ListSection>
  );
}
