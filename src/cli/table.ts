import { printable } from "./text.ts";

/** A cell; numbers stand to the right. */
export type Cell = string | number | null;

const longest = 60;

function textOf(cell: Cell): string {
  if (cell === null) return "–";
  if (typeof cell === "number") return cell.toLocaleString("en");
  const text = printable(cell);
  return text.length > longest ? `${text.slice(0, longest - 1)}…` : text;
}

/** Columns that line up, two blanks between them. A cell too long is cut, but for the last column's. */
export function renderTable(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const last = head.length - 1;
  const cells = rows.map((row) => row.map((cell, i) => (i === last ? printable(String(cell ?? "–")) : textOf(cell))));
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]?.length ?? 0)));
  const right = head.map(
    (_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === "number" || row[i] === null),
  );
  const line = (row: readonly string[]) =>
    row
      .map((text, i) => (right[i] ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd();
  return [line(head), ...cells.map(line)].join("\n");
}
