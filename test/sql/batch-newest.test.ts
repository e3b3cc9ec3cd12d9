import type pg from "pg";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { openClient, sql } from "../support/pg.ts";
import { type Captured, capturedNode } from "./capture-log.ts";

// Some ten thousand statements: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const log = `tandem_log."public.t"`;

describe("C3: whether all that a batch sends is newer than all else in its log, which a session remembers from batch to batch", () => {
  let captured: Captured;
  let peer: string;
  beforeAll(async () => {
    captured = await capturedNode(["external"]);
    const { run, track, value } = captured;
    await run("create table t (id bigint primary key, v int)");
    await track("t");
    peer = (await value("select peer_id from tandem.peer where name = 'external'")) ?? "";
    await written(1, 16_000);
  });

  /** One statement for each row, so that each has an entry of its own. */
  const written = (first: number, last: number) =>
    captured.run(`do $$ begin for i in ${first}..${last} loop
      insert into t values (i, 1) on conflict (id) do update set v = t.v + 1; end loop; end $$`);
  const position = async () => (await captured.value("select pg_current_snapshot()::text")) ?? "";
  const isNewest = async (client: pg.Client, from: string, to: string) => {
    const [row] = await sql(
      client,
      `select tandem.newest_of_all(t, '${from}', '${to}', ${peer}) is not null as newest from tandem.tracked_table t`,
    );
    return row?.newest === "t";
  };
  const session = () => openClient(captured.node.superUrl);
  /** A session that reads batch after batch, and one of its own for each: the tests' own query says what is right. */
  async function answers(client: pg.Client, from: string, to: string) {
    const right = await captured.value(`with e as (select *, not pg_visible_in_snapshot(xid, '${from}')
        and pg_visible_in_snapshot(xid, '${to}') and received_from is null as sent from ${log})
      select min(stamp) filter (where sent) > coalesce(max(stamp) filter (where not sent), '-infinity') from e`);
    return {
      right: right === "t",
      remembered: await isNewest(client, from, to),
      anew: await isNewest(await session(), from, to),
    };
  }

  test("batches that follow each other, the last of them cut", async () => {
    const client = await session();
    const begun = await position();
    await written(1, 2_000);
    const first = await position();
    expect(await answers(client, begun, first)).toEqual({ right: true, remembered: true, anew: true });
    await captured.run("select pg_current_xact_id()");
    const idle = await position();
    expect(idle).not.toBe(first);
    await written(2_001, 4_000);
    const second = await position();
    await written(1, 2_000);
    const third = await position();
    // what lies beyond the cut is newer
    expect(await answers(client, idle, second)).toEqual({ right: false, remembered: false, anew: false });
    expect(await answers(client, second, third)).toEqual({ right: true, remembered: true, anew: true });
  });

  test("an entry from before the batch that bears a later stamp", async () => {
    const client = await session();
    const begun = await position();
    await written(1, 2_000);
    await captured.run(`update ${log} set stamp = stamp + interval '1 hour' where k1 = 16000`);
    const first = await position();
    await answers(client, begun, first);
    await written(2_001, 4_000);
    const second = await position();
    expect(await answers(client, first, second)).toEqual({ right: false, remembered: false, anew: false });
    await captured.run(`update ${log} set stamp = stamp - interval '1 hour' where k1 = 16000`);
  });

  test("an entry that the peer had sent meanwhile, and that bears a later stamp", async () => {
    const client = await session();
    const begun = await position();
    await written(1, 2_000);
    const first = await position();
    expect(await answers(client, begun, first)).toEqual({ right: true, remembered: true, anew: true });
    await written(2_001, 4_000);
    await captured.run(`insert into ${log} (xid, stamp, op, origin, received_from, k1)
      values (pg_current_xact_id(), clock_timestamp() + interval '1 hour', 'U', 'external', ${peer}, 15999)`);
    const second = await position();
    expect(await answers(client, first, second)).toEqual({ right: false, remembered: false, anew: false });
    await written(1, 2_000);
    expect(await answers(client, second, await position())).toEqual({ right: false, remembered: false, anew: false });
    await captured.run(`delete from ${log} where k1 = 15999 and origin = 'external'`);
  });

  test("a transaction that was open at the position before", async () => {
    const client = await session();
    const open = await session();
    await sql(open, "begin; insert into t values (900001, 1)");
    const begun = await position();
    await written(1, 2_000);
    const first = await position();
    // its entry is older than those of the batch before, and comes with the next
    expect(await answers(client, begun, first)).toEqual({ right: true, remembered: true, anew: true });
    await sql(open, "commit");
    await written(2_001, 4_000);
    expect(await answers(client, first, await position())).toEqual({ right: false, remembered: false, anew: false });
  });

  test("a batch that begins before what is remembered", async () => {
    const client = await session();
    const begun = await position();
    await written(1, 2_000);
    const first = await position();
    await written(2_001, 4_000);
    const second = await position();
    expect(await answers(client, first, second)).toEqual({ right: true, remembered: true, anew: true });
    expect(await answers(client, begun, second)).toEqual({ right: true, remembered: true, anew: true });
    const [row] = await captured.run(`select stamp from ${log} where k1 = 1 order by stamp desc limit 1`);
    await captured.run(`update ${log} set stamp = stamp - interval '1 hour' where k1 = 1 and stamp = '${row?.stamp}'`);
    expect(await answers(client, begun, second)).toEqual({ right: false, remembered: false, anew: false });
  });
});
