import { expect, test, vi } from "vitest";
import { tandem } from "../support/child.ts";
import { cluster } from "../support/pg.ts";
import { startProxy } from "../support/proxy.ts";
import { waitFor } from "../support/wait.ts";
import { Opened, sidecar } from "./support.ts";

vi.setConfig({ testTimeout: 180_000 });

test("C2: a sidecar that is asked to end commits the batch in hand, and leaves neither session nor lease", async () => {
  await using opened = new Opened();
  const nodes = opened.add(await cluster(2));
  for (const { admin } of nodes) await admin.query("create table t (id int primary key)");
  const { local, external } = nodes;
  const proxy = opened.add(await startProxy(external.server.port, external.server.host));
  const at = await opened.folder({ local: local.url, external: proxy.url(external.url) });
  for (const command of ["migrate", "sync"]) expect((await tandem([command], at)).code).toBe(0);
  const running = opened.add(sidecar(at));
  await running.waitForLine(/"target":"external".*caught up/);

  const held = proxy.holdAt("apply");
  await local.admin.query("insert into t select generate_series(1, 500)");
  const { release } = await held;
  const ended = running.kill("SIGTERM");
  // What is written after the signal is for the next sidecar.
  await local.admin.query("insert into t select generate_series(501, 600)");
  release();
  expect(await ended).toMatchObject({ code: 0, signal: null });

  expect(await external.admin.value("select count(*) from t")).toBe("500");
  for (const { admin } of nodes) {
    const others = () =>
      admin.query(
        "select pid, application_name from pg_stat_activity where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid() and application_name <> 'test-admin'",
      );
    // It says goodbye to its sessions, and waits for a slow server no longer than two seconds.
    await waitFor(async () => (await others()).length === 0, { what: async () => JSON.stringify(await others()) });
    expect(await admin.query("select * from tandem.lease")).toEqual([]);
  }
});
