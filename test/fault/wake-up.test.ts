import type pg from "pg";
import { expect, test, vi } from "vitest";
import { tandem } from "../support/child.ts";
import { cluster, openClient, type TestNode } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import { Opened, sidecar } from "./support.ts";

vi.setConfig({ testTimeout: 180_000 });

/** So long that nothing but being woken brings a change in time. */
const interval = "{ interval: 55s }";

/** Nodes in a running sidecar that has nothing to do. */
async function resting(count: number, opened: Opened, before: (nodes: TestNode[]) => Promise<void> = async () => {}) {
  const { nodes } = opened.add(await cluster(count));
  for (const { admin } of nodes) await admin.query("create table t (id int primary key, v text)");
  const links = count > 2 ? `${interval}\nlinks: [[local, external], [external, n3]]` : interval;
  const at = await opened.folder(Object.fromEntries(nodes.map(({ name, url }) => [name, url])), links);
  for (const command of ["migrate", "sync"]) expect((await tandem([command], at)).code).toBe(0);
  await before(nodes);
  opened.add(sidecar(at));
  for (const { admin } of nodes)
    await waitFor(() => admin.value("select true where pg_sequence_last_value('tandem.wake_until') > 0"));
  return nodes;
}

async function arrives({ admin }: TestNode, id: number): Promise<void> {
  // Shorter than what may be left of the interval (55 s) after several looks, or no waking would be seen by it.
  await waitFor(() => admin.value(`select true from t where id = ${id}`), { deadlineMs: 30_000, what: `row ${id}` });
}

/** Time for the links to look again and again, or to fall asleep over what is open. */
async function severalLooks({ admin }: TestNode): Promise<void> {
  const seen = new Set<string>();
  await waitFor(async () => {
    const [row] = await admin.query(
      `select max(query_start)::text as looked, max(query_start) < clock_timestamp() - interval '3 s' as quiet
       from pg_stat_activity where datname = current_database() and application_name like 'tandem/%'`,
    );
    if (row?.looked) seen.add(row.looked);
    return row?.quiet === "t" || seen.size >= 10;
  });
}

test("C1: an idle link is woken by what is committed, whichever side writes and however often", async () => {
  await using opened = new Opened();
  const [local, external] = (await resting(2, opened)) as [TestNode, TestNode];
  for (let id = 1; id <= 12; id++) {
    const [from, to] = id % 3 === 0 ? [external, local] : [local, external];
    await from.admin.query(`insert into t values (${id}, 'x')`);
    await arrives(to, id);
  }
});

test("C1: transactions that wrote before anybody asked to be told are not slept over, and no link fails because of them", async () => {
  await using opened = new Opened();
  const writers: pg.Client[] = [];
  const [local, external] = (await resting(2, opened, async ([node]) => {
    for (const id of [1, 2, 3]) {
      const writer = await openClient(node!.superUrl);
      await writer.query(`begin; insert into t values (${id}, 'x')`);
      writers.push(writer);
    }
  })) as [TestNode, TestNode];
  await severalLooks(local);
  for (const { admin } of [local, external])
    expect(await admin.query("select last_error from tandem.inbound where last_error is not null")).toEqual([]);
  for (const writer of writers) await writer.query("commit");
  for (const id of [1, 2, 3]) await arrives(external, id);
});

test("C1: what came from one neighbour wakes the link to the next", async () => {
  await using opened = new Opened();
  const [local, external, n3] = (await resting(3, opened)) as [TestNode, TestNode, TestNode];
  for (let id = 1; id <= 4; id++) {
    const [from, to] = id % 2 === 0 ? [n3, local] : [local, n3];
    await from.admin.query(`insert into t values (${id}, 'x')`);
    await arrives(to, id);
    await arrives(external, id);
  }
});
