import { expect, test } from "vitest";
import { capturedNode } from "./capture-log.ts";

test("C11 the newest 10,000 activities stay, however many come at once", async () => {
  const { run, value } = await capturedNode(["external"]);
  const note = (from: number, to: number) =>
    run(`select tandem.note_history(jsonb_build_object('activity', (select jsonb_agg(jsonb_build_object(
      'at', now(), 'kind', 'link_failed', 'source', null, 'target', 'local', 'message', n::text, 'actor', 'a test'))
      from generate_series(${from}, ${to}) n)))`);
  const kept = () =>
    value("select concat_ws(' ', count(*), min(message::int), max(message::int)) from tandem.activity");
  await note(1, 10_000);
  expect(await kept()).toBe("10000 1 10000");
  await note(10_001, 10_003);
  expect(await kept()).toBe("10000 4 10003");
  await note(10_004, 25_000);
  expect(await kept()).toBe("10000 15001 25000");
});

test("C11 rows of a minute add up, the longest time behind stays, and after seven days a minute goes", async () => {
  const { run, value } = await capturedNode(["external"]);
  // One moment for all: between two notes a minute may be over.
  const now = await value("select now()");
  const note = (age: string, rows: number, behind: number) =>
    run(`select tandem.note_history(jsonb_build_object('moved', jsonb_build_array(jsonb_build_object(
      'source', 'external', 'minute', timestamptz '${now}' - interval '${age}', 'rows', ${rows}, 'behind', ${behind}))))`);
  const kept = () =>
    value(`select string_agg(concat_ws(' ', (now() - minute) > interval '1 day', rows, behind_ms), ', ' order by minute)
      from tandem.moved where peer = 'external'`);
  await note("6 days 23 hours", 7, 70);
  await note("1 hour", 2, 300);
  await note("1 hour", 3, 20);
  expect(await kept()).toBe("t 7 70, f 5 300");
  // Time passes: what was younger than seven days is older now, and goes with the next note, whatever that holds.
  await run("update tandem.throughput set minute = minute - interval '2 hours'");
  await run("select tandem.note_history('{}')");
  expect(await kept()).toBe("f 5 300");
});
