import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { tandem } from "../support/child.ts";
import { waitFor } from "../support/wait.ts";
import { synced, twoServers } from "./servers.ts";
import { expectRest, sidecar } from "./support.ts";

vi.setConfig({ testTimeout: 240_000 });

test("C2 C10: a standby is refused by one clear error; once it is promoted the links go on", async () => {
  await using all = await twoServers("create table t (id int primary key, v text)");
  const { opened, servers, nodes } = all;
  const at = await synced(opened, { local: nodes[0].superUrl, external: nodes[1].superUrl });
  await using running = sidecar(at);
  for (const { admin } of nodes) await admin.query("select tandem.prune()");
  await nodes[0].admin.query("insert into t select g, 'before' from generate_series(1, 100) g");
  await expectRest(nodes, () => running.stderr);

  // The primary is gone, and its place is taken by a server that has all its log and is not promoted yet.
  await servers[0].stop("fast", { keep: true });
  await writeFile(join(servers[0].dataDir, "standby.signal"), "");
  await servers[0].restart();
  await nodes[1].admin.query("insert into t select g, 'meanwhile' from generate_series(201, 300) g");
  await running.waitForLine(/in_recovery/);
  for (const command of ["sync", "run"]) {
    const { code, stderr } = await tandem([command], at);
    const errors = stderr.split("\n").filter((line) => /^in_recovery: /.test(line));
    expect({ command, code, errors: errors.length }, stderr).toEqual({ command, code: 1, errors: 1 });
  }

  await nodes[0].admin.query("select pg_promote()");
  await waitFor(async () => (await nodes[0].admin.query("select pg_is_in_recovery() as yes"))[0]?.yes === "f");
  const [timeline] = await nodes[0].admin.query("select left(pg_walfile_name(pg_current_wal_lsn()), 8) as id");
  expect(timeline?.id).toBe("00000002");
  await nodes[0].admin.query("insert into t select g, 'after' from generate_series(401, 500) g");
  expect(await expectRest(nodes, () => running.stderr)).toBe(300);
  expect(running.result).toBeUndefined();
});
