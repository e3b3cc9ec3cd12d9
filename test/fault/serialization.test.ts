import type pg from "pg";
import { expect, test, vi } from "vitest";
import { type TandemOptions, tandem } from "../support/child.ts";
import { cluster, openClient } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import { synced } from "./servers.ts";
import { expectRest, type FaultNode, Opened, sidecar } from "./support.ts";

vi.setConfig({ testTimeout: 240_000 });

const schema = `create table counter (id int primary key, n int not null);
  insert into counter select g, 0 from generate_series(1, 8) g`;

interface Pair extends AsyncDisposable {
  readonly nodes: readonly (FaultNode & { readonly url: string })[];
  readonly opened: Opened;
  readonly at: TandemOptions;
}

async function pair(): Promise<Pair> {
  const opened = new Opened();
  const { nodes } = opened.add(await cluster(2));
  for (const { admin } of nodes) await admin.query(schema);
  const at = await synced(opened, Object.fromEntries(nodes.map(({ name, url }) => [name, url])));
  return { nodes, opened, at, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
}

/** Adds one to a counter `times` times, from what it has read, beginning again whenever the server says so; returns how often that was. */
async function count(client: pg.Client, id: number, times: number): Promise<number> {
  let again = 0;
  for (let done = 0; done < times; ) {
    try {
      await client.query("begin isolation level serializable");
      // It reads what the applier writes, too: the whole table.
      const { rows } = await client.query("select n, (select sum(n) from counter) from counter where id = $1", [id]);
      await client.query("update counter set n = $2 where id = $1", [id, Number(rows[0]?.n) + 1]);
      await client.query("commit");
      done++;
    } catch (error) {
      if ((error as pg.DatabaseError).code !== "40001") throw error;
      await client.query("rollback");
      again++;
    }
  }
  return again;
}

test("C3 C9: SERIALIZABLE transactions of the application beside the applier lose no update, and neither needs a person", async () => {
  await using all = await pair();
  const { nodes, at } = all;
  await using running = sidecar(at);
  for (const { name } of nodes) await running.waitForLine(new RegExp(`"node":"${name}".*works on the links`));
  // Each node counts in rows of its own, so that nothing is a conflict.
  const counting = [1, 2, 3, 4].map(async (id) => count(await openClient(nodes[id % 2]!.url), id, 40));
  const again = (await Promise.all(counting)).reduce((sum, one) => sum + one);
  process.stdout.write(`160 transactions, ${again} begun again\n`);
  await expectRest(nodes, () => running.stderr);
  for (const { admin } of nodes) {
    expect(await admin.query("select id, n from counter where id <= 4 order by id")).toEqual(
      [1, 2, 3, 4].map((id) => ({ id: String(id), n: "40" })),
    );
  }
  expect(running.result).toBeUndefined();
  expect(running.stderr).not.toMatch(/serialize|deadlock/);
});

/** From now on the first `times` writes to a table fail with this state; a sequence counts, for it outlives their rollback. Returns whether that is over. */
async function failFirst(
  node: FaultNode,
  table: string,
  state: string,
  times: number,
): Promise<() => Promise<boolean>> {
  const name = `${table.replace(".", "_")}_${state.toLowerCase()}`;
  await node.admin.query(`create schema if not exists test; create sequence test.${name};
    create function test.${name}() returns trigger language plpgsql security definer as $$ begin
      if nextval('test.${name}') <= ${times} then raise exception 'made to fail' using errcode = '${state}'; end if; return new; end $$;
    create trigger made_to_fail_${state.toLowerCase()} before update on ${table} for each row execute function test.${name}();
    alter table ${table} enable always trigger made_to_fail_${state.toLowerCase()}`);
  return async () => {
    const [row] = await node.admin.query(`select last_value > ${times} as over from test.${name}`);
    return row?.over === "t";
  };
}

test.each(["40001", "40P01"])(
  "C2 C6: statements of the applier that meet %s, at the target and at the source, are tried again by themselves",
  async (state) => {
    await using all = await pair();
    const { nodes, at } = all;
    const [local, external] = [nodes[0]!, nodes[1]!];
    // A row of the application's, the link's own position, and what the source is told.
    const failing = [
      await failFirst(external, "public.counter", state, 5),
      await failFirst(external, "tandem.inbound", state, 3),
      await failFirst(local, "tandem.outbound", state, 3),
    ];
    await local.admin.query("update counter set n = 7");
    await using running = sidecar(at);
    await waitFor(async () => (await Promise.all(failing.map((isOver) => isOver()))).every(Boolean), {
      deadlineMs: 120_000,
      what: () => running.stderr,
    });
    await expectRest(nodes, () => running.stderr);
    expect(await external.admin.query("select distinct n from counter")).toEqual([{ n: "7" }]);
    expect(running.result).toBeUndefined();
  },
);

test("C2: one command, too, begins a round again that met 40001", async () => {
  await using all = await pair();
  const { nodes, at } = all;
  await failFirst(nodes[1]!, "tandem.inbound", "40001", 3);
  await nodes[0]!.admin.query("update counter set n = 7");
  const { code, stderr } = await tandem(["sync"], at);
  expect(code, stderr).toBe(0);
  await expectRest(nodes);
});
