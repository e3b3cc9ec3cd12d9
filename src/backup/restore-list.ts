import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { programEnvironment } from "./conninfo.ts";
import type { Manifest } from "./manifest.ts";
import { runProgram } from "./run-program.ts";

/** One entry of a dump's table of contents, as `pg_restore --list --verbose` prints it. */
interface Entry {
  readonly id: string;
  readonly line: string;
  readonly needs: Set<string>;
}

/**
 * The table of contents of a dump without what the manifest says cannot be restored into an empty database, and without what
 * depends on that (a comment, a view over the view). Null: nothing is left out. Entries are known by their oids, for names may hold anything.
 */
export async function restoreList(
  program: string,
  dump: string,
  { notRestored }: Pick<Manifest, "notRestored">,
  signal?: AbortSignal,
): Promise<string | null> {
  if (notRestored.length === 0) return null;
  const entries: Entry[] = [];
  await runProgram(program, ["--list", "--verbose", dump], {
    env: programEnvironment(),
    signal,
    read: (stdout) => readEntries(stdout, entries),
  });
  const unwanted = new Set(notRestored.map(({ catalog, oid }) => `${catalog} ${oid}`));
  const gone = new Set(
    entries.filter(({ line }) => unwanted.has(/^\d+; (\d+ \d+) /.exec(line)?.[1] ?? "")).map(({ id }) => id),
  );
  for (let before = -1; before !== gone.size; ) {
    before = gone.size;
    for (const { id, needs } of entries) if ([...needs].some((one) => gone.has(one))) gone.add(id);
  }
  return entries.flatMap(({ id, line }) => (gone.has(id) ? [] : [`${line}\n`])).join("");
}

async function readEntries(stdout: Readable, entries: Entry[]): Promise<void> {
  for await (const line of createInterface({ input: stdout, crlfDelay: Number.POSITIVE_INFINITY })) {
    const id = /^(\d+); /.exec(line)?.[1];
    if (id !== undefined) entries.push({ id, line, needs: new Set() });
    const needs = /^;\s+depends on: ([\d ]+)$/.exec(line)?.[1];
    for (const one of needs?.trim().split(" ") ?? []) entries.at(-1)?.needs.add(one);
  }
}
