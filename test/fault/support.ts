import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { expect } from "vitest";
import { spawnTandem, type TandemOptions, type TandemProcess } from "../support/child.ts";
import { expectEqual, type TextRow } from "../support/pg.ts";
import type { Proxy as NetworkProxy } from "../support/proxy.ts";
import { waitFor } from "../support/wait.ts";

/** A database as the faults' tests see it. */
export interface FaultNode {
  readonly name: string;
  /** Straight to the server, with a superuser's rights. */
  readonly superUrl: string;
  readonly admin: { query(text: string): Promise<TextRow[]> };
}

/** A folder with a `tandem.yaml` for these URLs; the caller removes it. */
export async function folderOf(
  urls: Record<string, string>,
  sync = "{ interval: 100ms }",
): Promise<TandemOptions & { cwd: string }> {
  const cwd = await mkdtemp(join(tmpdir(), "tandem-fault-"));
  const nodes = Object.entries(urls).map(([name, url]) => `  ${name}: { url: "${url}" }\n`);
  await writeFile(join(cwd, "tandem.yaml"), `nodes:\n${nodes.join("")}sync: ${sync}\n`);
  return { cwd };
}

/** Ends what a suite has opened, the last one first. */
export class Opened implements AsyncDisposable {
  readonly #endings: (() => Promise<void>)[] = [];

  add<T extends AsyncDisposable>(thing: T): T {
    this.#endings.push(async () => thing[Symbol.asyncDispose]());
    return thing;
  }

  async folder(urls: Record<string, string>, sync?: string): Promise<TandemOptions & { cwd: string }> {
    const folder = await folderOf(urls, sync);
    this.#endings.push(() => rm(folder.cwd, { recursive: true, force: true }));
    return folder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#endings.splice(0).reverse()) await end();
  }
}

/** The sidecar, built and started as a person would. */
export function sidecar(at: TandemOptions): TandemProcess {
  return spawnTandem(["run"], at);
}

/** Cuts whichever connection comes first to the step, in whichever proxy. */
export async function cutAtStep(
  proxies: readonly NetworkProxy[],
  step: string,
  when: "before" | "after",
): Promise<void> {
  await Promise.race(proxies.map((proxy) => proxy.cutAt(step, { when })));
  for (const proxy of proxies) proxy.disarm();
}

/**
 * Waits until the nodes are at rest: equal by content, nothing pending, nothing parked. Nobody helps: that the applier
 * gets there by itself is what is tested.
 */
export async function expectRest(nodes: readonly FaultNode[], words?: () => string): Promise<number> {
  return await waitForRest(nodes, expectNothingTwice, words);
}

/** The same, where both sides wrote the same rows at once: there are conflicts. */
export async function expectEqualAtRest(nodes: readonly FaultNode[], words?: () => string): Promise<number> {
  return await waitForRest(nodes, expectNoVersionTwice, words);
}

async function waitForRest(
  nodes: readonly FaultNode[],
  check: (nodes: readonly FaultNode[]) => Promise<void>,
  words: () => string = () => "",
): Promise<number> {
  let why: unknown;
  return await waitFor(
    async () => {
      try {
        for (const node of nodes) {
          const [row] = await node.admin.query(
            `select (select count(*) from tandem.pending) as pending, (select count(*) from tandem.parked) as parked`,
          );
          expect({ node: node.name, ...row }).toEqual({ node: node.name, pending: "0", parked: "0" });
        }
        const { rows } = await expectEqual(nodes);
        await check(nodes);
        return { rows };
      } catch (error) {
        why = error;
        return null;
      }
    },
    { deadlineMs: 120_000, what: async () => `rest: ${inspect(why)}\n${await sessionsOf(nodes)}\n${words()}` },
  ).then(({ rows }) => rows);
}

/** What Tandem's sessions do at this moment, for who must find out why there is no rest. */
async function sessionsOf(nodes: readonly FaultNode[]): Promise<string> {
  const lines = await Promise.all(
    nodes.map(async ({ name, admin }) => {
      const rows = await admin
        .query(`select concat_ws(' ', application_name, state, wait_event, now() - state_change, left(query, 150)) as line
          from pg_stat_activity where application_name like 'tandem/%' and datname = current_database()`)
        .catch((error: unknown) => [{ line: String(error) }]);
      return rows.map(({ line }) => `${name}: ${line}`);
    }),
  );
  return lines.flat().join("\n");
}

/** Besides: what only one node wrote was never called a conflict. */
async function expectNothingTwice(nodes: readonly FaultNode[]): Promise<void> {
  await expectNoVersionTwice(nodes);
  for (const node of nodes) {
    const conflicts = await node.admin.query("select * from tandem.conflicts");
    expect({ node: node.name, conflicts }).toEqual({ node: node.name, conflicts: [] });
  }
}

/** No version of a key is in a log twice: no two changes share one, and none was carried twice. */
export async function expectNoVersionTwice(nodes: Iterable<FaultNode>): Promise<void> {
  for (const node of nodes) {
    const logs = await node.admin.query(
      "select entries_name, cardinality(key_columns) as keys from tandem.tracked_table",
    );
    for (const { entries_name: log, keys } of logs) {
      const columns = Array.from({ length: Number(keys) }, (_, i) => `k${i + 1}`).join(", ");
      const twice = await node.admin.query(
        `select ${columns}, stamp, origin from tandem_log."${log}" group by ${columns}, stamp, origin having count(*) > 1`,
      );
      expect({ node: node.name, log, twice }).toEqual({ node: node.name, log, twice: [] });
    }
  }
}

/** What the links into a node have applied and found superseded since they were met. */
export async function appliedIn(node: FaultNode): Promise<number> {
  const [row] = await node.admin.query(
    "select coalesce(sum(rows_applied + rows_superseded), 0) as rows from tandem.inbound",
  );
  return Number(row?.rows);
}
