import { expect, test, vi } from "vitest";
import { tandem } from "../support/child.ts";
import { connectClient } from "../support/client.ts";
import { smallDisk, smallDiskArgs } from "../support/small-disk.ts";
import { waitFor } from "../support/wait.ts";
import { synced, twoServers } from "./servers.ts";
import { expectRest, sidecar } from "./support.ts";

vi.setConfig({ testTimeout: 300_000 });

// Whole in the row: so much grows in files that the pages there are cannot take it.
const schema = `create table wide (id int primary key, v text not null);
  alter table wide alter v set storage plain;
  insert into wide select g, 'before' from generate_series(1, 50) g`;

const insert = (from: number, count: number) =>
  `insert into wide select g, repeat('x', 1000) from generate_series(${from}, ${from + count - 1}) g`;

test("C2 C3 C6 C11: a disk that is full, at the target and at the source: nothing is lost or parked, nobody is needed", async () => {
  await using all = await twoServers(schema, { initdbArgs: smallDiskArgs });
  const { opened, servers, nodes } = all;
  const disk = opened.add(await smallDisk(servers[1]));
  const at = await synced(opened, { local: servers[0].url(), external: servers[1].url() });
  await using running = sidecar(at);
  await running.waitForLine(/"node":"external".*works on the links/);
  await disk.fill();

  // Here the application has room: its rows must come through once the other side has it, too.
  await nodes[0].admin.query(insert(1_000, 5_000));
  await nodes[0].admin.query("update wide set v = 'changed' where id <= 10");
  // There it has none, but for a few rows.
  await using application = await clientOf(servers[1].url());
  expect(await codeOf(application.query(insert(100_000, 10_000)))).toBe("53100");
  let written = 0;
  for (let id = 200_000; id < 200_010; id++) {
    const code = await codeOf(application.query(`insert into wide values (${id}, 'small')`));
    expect(["none", "53100"]).toContain(code);
    if (code === "none") written++;
  }

  // It backs off: the pauses double.
  const pauses = () =>
    [...running.stderr.matchAll(/"source":"local","target":"external".*"retryInMs":(\d+)/g)].map((m) => Number(m[1]));
  await waitFor(() => pauses().some((pause) => pause > 3_000), {
    deadlineMs: 120_000,
    what: () => `a longer pause: ${pauses()}\n${running.stderr}`,
  });
  expect(pauses().length).toBeLessThan(10);
  const { code, stdout } = await tandem(["status", "--json"], at);
  expect(code).toBe(1);
  expect(stdout).toMatch(/No space left|disk|could not extend/i);
  expect(await nodes[1].admin.query("select * from tandem.parked")).toEqual([]);
  expect(running.result).toBeUndefined();

  await disk.free();
  expect(await expectRest(nodes, () => running.stderr)).toBe(50 + 5_000 + written);
  await waitFor(async () => (await tandem(["status"], at)).code === 0, { deadlineMs: 120_000, what: "status is well" });
});

async function clientOf(url: string) {
  const client = await connectClient(url);
  return { query: (text: string) => client.query(text), [Symbol.asyncDispose]: () => client.end() };
}

/** The SQLSTATE that a statement ends with; `none`: it did not fail. */
async function codeOf(statement: Promise<unknown>): Promise<string> {
  try {
    await statement;
    return "none";
  } catch (error) {
    if (error instanceof Error && "code" in error) return String(error.code);
    throw error;
  }
}
