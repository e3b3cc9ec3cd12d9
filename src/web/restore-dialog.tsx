import { useEffect, useRef, useState } from "preact/hooks";
import { act, failureIn, originalOf, usePage } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { Original } from "./notices.tsx";
import type { Backup, RestoredTable } from "./types.ts";

interface Report {
  readonly id: string;
  readonly node: string;
  readonly safety: string | null;
  readonly tables: readonly RestoredTable[];
}

type Mode = "merge" | "exact";

/** A restore in two steps: what it would do, and then, the backup's name typed once more, doing it. */
export function RestoreDialog({ backup, onClose }: { readonly backup: Backup; onClose(): void }) {
  const page = usePage();
  const { store, words } = page;
  const { restore: said } = words;
  const nodes = store.status?.nodes.map(({ node }) => node) ?? [];
  const [mode, setMode] = useState<Mode>("merge");
  const [node, setNode] = useState(backup.node ?? nodes[0] ?? "");
  const [report, setReport] = useState<Report | null>(null);
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<{ readonly error: unknown } | null>(null);
  const [typed, setTyped] = useState("");
  const path = `/api/backups/${encodeURIComponent(backup.id)}/restore`;

  // What it does and why it could not stands in the dialog: a notice would lie behind it.
  const look = async () => {
    if (busy || !(await page.unlock())) return;
    setBusy(true);
    setFailed(null);
    try {
      setReport(await store.api.run<Report>(path, { mode, node, dryRun: true }));
    } catch (error) {
      setFailed({ error });
    } finally {
      setBusy(false);
      store.refresh();
    }
  };
  const restore = async () => {
    onClose();
    await act(
      page,
      async () => {
        const done = await store.api.run<Report>(path, { mode, node, confirm: typed });
        const { id, node: into, safety } = done;
        return (words) => `${words.restore.done(id, into)} ${safety === null ? "" : words.restore.safety(safety)}`;
      },
      "backup restore",
    );
  };
  /** What was shown is of another choice. */
  const choose = (change: () => void) => {
    change();
    setReport(null);
    setFailed(null);
    setTyped("");
  };
  const modes: [Mode, string, string][] = [
    ["merge", said.merge, said.mergeSmall],
    ["exact", said.exact, said.exactSmall],
  ];
  return (
    <Dialog title={said.title(backup.id)} wide onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (report !== null && !busy && typed === backup.id) void restore();
        }}
      >
        <p>{said.explain}</p>
        <fieldset>
          <legend>{said.mode}</legend>
          {modes.map(([value, name, small]) => (
            <label key={value} class="option">
              <input type="radio" name="mode" checked={mode === value} onChange={() => choose(() => setMode(value))} />
              <span>
                {name}
                <span class="small">{small}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <label>
          {said.node}
          <select value={node} onChange={({ currentTarget }) => choose(() => setNode(currentTarget.value))}>
            {nodes.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        {report && <DryRun report={report} />}
        {report && (
          <label>
            {said.type(backup.id)}
            <input
              type="text"
              autocomplete="off"
              spellcheck={false}
              value={typed}
              onInput={({ currentTarget }) => setTyped(currentTarget.value)}
            />
          </label>
        )}
        <p role="status" class="small">
          {busy && words.activity.runningFor(words.actions["backup restore, dry run"] ?? "")}
        </p>
        {failed && (
          <div role="alert">
            <p class="wrong">{failureIn(words, failed.error)}</p>
            <Original text={originalOf(words, failed.error)} />
          </div>
        )}
        <div class="buttons">
          <button type="button" onClick={onClose}>
            {words.cancel}
          </button>
          <button type="button" class={report ? "" : "main"} aria-disabled={busy} onClick={() => void look()}>
            {report ? said.again : said.dryRun}
          </button>
          {report && (
            <button type="submit" class="main danger" disabled={busy || typed !== backup.id}>
              {said.go}
            </button>
          )}
        </div>
      </form>
    </Dialog>
  );
}

function DryRun({ report }: { readonly report: Report }) {
  const { words, format } = usePage();
  const { restore: said } = words;
  const counts = ["inserted", "updated", "deleted", "unchanged", "extra"] as const;
  const would = useRef<HTMLParagraphElement>(null);
  // It may be longer than a phone is high: one reads it from its beginning.
  useEffect(() => {
    would.current?.focus({ preventScroll: true });
    would.current?.scrollIntoView({ block: "start" });
  }, [report]);
  return (
    <>
      <p class="would" ref={would} tabIndex={-1}>
        {said.would(report.node)}
      </p>
      <table class="rows">
        <thead>
          <tr>
            <th scope="col">{said.table}</th>
            {counts.map((name) => (
              <th scope="col" key={name} class="number">
                {said[name]}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {report.tables.map((table) => (
            <tr key={`${table.schema}.${table.name}`}>
              <th scope="row" data-label={said.table}>
                {table.schema === "public" ? table.name : `${table.schema}.${table.name}`}
              </th>
              {counts.map((name) => (
                <td key={name} class="number" data-label={said[name]}>
                  {format.number(table[name])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
