import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import type { Config } from "../../src/config/config.ts";
import { migrate } from "../../src/install/migrate.ts";
import { rejoin } from "../../src/sidecar/rejoin.ts";
import { copyData, dumpAndRestore, movedNode, ownServer, startCopy, withDatabase } from "../support/copies.ts";
import { linkedCluster, ways } from "../support/link.ts";
import { sql } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import {
  begin,
  expectFlow,
  expectRefused,
  expectSynced,
  healed,
  losers,
  notes,
  schema,
  urlOf,
  write,
} from "./rejoin-support.ts";

// Several databases, servers and syncs: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 300_000 });

/** After the copy was taken: both sides go on, and hear of each other; then each writes what the other never gets. */
async function goOn(config: Config): Promise<void> {
  await write(
    config,
    "local",
    `update public.parent set note = 'local later' where id in (1, 9); delete from public.parent where id = 2;
     insert into public.parent values (20, 'name 20', 'local later')`,
  );
  await write(
    config,
    "external",
    `update public.parent set note = 'external later' where id in (3, 10); delete from public.parent where id = 4;
     insert into public.parent values (21, 'name 21', 'external later')`,
  );
  await expectSynced(config);
  await write(config, "local", "update public.parent set note = 'local alone' where id = 6");
}

/** What the application writes to the copy before anybody notices. */
async function writeToCopy(config: Config): Promise<void> {
  await write(
    config,
    "external",
    `update public.parent set note = 'copy' where id in (1, 3, 7); delete from public.parent where id = 8;
     insert into public.parent values (30, 'name 30', 'copy'); insert into public.child values (30, 30, 'copy'), (31, 5, 'copy')`,
  );
}

/** Both sides' writes are there; of a row that both wrote the newer image, and the older one is kept. */
async function expectBoth(config: Config): Promise<void> {
  expect(await notes(config)).toEqual({
    ...{ 1: "copy", 3: "copy", 7: "copy", 30: "copy" },
    ...{ 6: "local alone", 9: "local later", 10: "external later", 20: "local later", 21: "external later" },
    ...{ 5: "first", 11: "first", 12: "first" },
  });
  const children = await sql(urlOf(config, "external"), "select id from public.child order by id");
  expect(children.map(({ id }) => Number(id))).toEqual([1, 3, 5, 6, 7, 9, 10, 11, 12, 30, 31]);
  const lost = (await losers(config)).join("\n");
  expect(lost).toMatch(/id = '1', name = 'name 1', note = 'local later'/);
  expect(lost).toMatch(/id = '3', name = 'name 3', note = 'external later'/);
}

describe("C10: an older copy in another database", () => {
  for (const { way, options } of [...ways, { way: "with heartbeats", options: { heartbeatMs: 60_000 } }]) {
    test(`made by CREATE DATABASE ... TEMPLATE, ${way}`, async () => {
      await using linked = await linkedCluster(2, { ...options, schema });
      const { nodes, links } = linked;
      const beats = "heartbeatMs" in options;
      // One that the copy has of either link, and one more of each side that the copy does not know.
      const beat = async ({ nodes: [local, external] }: Config) => {
        if (!beats) return;
        await sql(local!.url, "select tandem.beat('local', 'external', gen_random_uuid())");
        await sql(external!.url, "select tandem.beat('external', 'local', gen_random_uuid())");
      };
      await beat(links.config);
      await begin(links.config);
      await beat(links.config);
      await nodes.external.admin.close();
      const { database, server, owner } = nodes.external;
      const copy = `${database}_c`;
      await sql(server.url, `create database "${copy}" template "${database}"${owner ? ` owner "${owner}"` : ""}`);
      try {
        await goOn(links.config);
        const config = movedNode(links.config, "external", withDatabase(nodes.external.url, copy));
        await writeToCopy(config);
        await expectRefused(config);
        await expect(migrate(config)).rejects.toMatchObject({ code: "identity_mismatch" });
        await healed(config);
        await expectBoth(config);
        await expectFlow(config);
        await beat(config);
        await expectSynced(config);
        if (beats) {
          const [one, other] = await Promise.all(
            config.nodes.map(({ url }) => sql(url, "select * from tandem.heartbeat order by source")),
          );
          expect(one).toHaveLength(2);
          expect(one).toEqual(other);
        }
        // what the first one was is a stranger now
        await expectRefused(links.config);
      } finally {
        await sql(server.url, `drop database if exists "${copy}" with (force)`);
      }
    });
  }

  test("restored from a dump", async () => {
    await using linked = await linkedCluster(2, { schema });
    const { nodes, links } = linked;
    await begin(links.config);
    // A newer pg_dump writes the identity of an unlogged table in words that servers before 15 do not know.
    const unreadable = `select relname from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.relpersistence = 'u' and a.attidentity <> ''`;
    for (const { admin } of nodes) expect(await admin.query(unreadable)).toEqual([]);
    const copy = `${nodes.external.database}_r`;
    // on the other server: its transaction ids are others
    const restored = await dumpAndRestore(nodes.external.url, copy, nodes.local.server.url);
    try {
      await goOn(links.config);
      const config = movedNode(links.config, "external", restored);
      await writeToCopy(config);
      await expectRefused(config);
      await healed(config);
      await expectBoth(config);
      await expectFlow(config);
    } finally {
      await sql(nodes.local.server.url, `drop database if exists "${copy}" with (force)`);
    }
  });
});

describe("C10: a copy of the data directory", () => {
  /** A server of its own for `external`, so that it can be copied whole. */
  async function onItsOwnServer(linked: Awaited<ReturnType<typeof linkedCluster>>) {
    const server = await ownServer();
    await sql(server.url(), "create database app");
    const config = movedNode(linked.links.config, "external", server.url("app"));
    await sql(server.url("app"), schema);
    await migrate(config);
    return { server, config };
  }

  test("a branch with both copies alive: whichever comes second is a stranger, and may take the other's place", async () => {
    await using linked = await linkedCluster(2, { schema });
    const { server, config } = await onItsOwnServer(linked);
    await begin(config);
    const branch = await startCopy(server, await copyData(server));
    const branched = movedNode(config, "external", branch.url("app"));
    await goOn(config);
    await writeToCopy(branched);
    await expectRefused(branched);
    // the one that had come first is none
    await expectSynced(config);
    await healed(branched);
    expect(await notes(branched)).toMatchObject({
      1: "copy",
      3: "copy",
      7: "copy",
      6: "local alone",
      20: "local later",
    });
    await expectFlow(branched);
    await expectRefused(config);
  });

  test("a standby that took over stops nothing", async () => {
    await using linked = await linkedCluster(2, { schema });
    const { server, config } = await onItsOwnServer(linked);
    await begin(config);
    const dataDir = await copyData(server, { restart: false });
    // the old primary is gone; what took over is on another timeline
    await writeFile(join(dataDir, "standby.signal"), "");
    const standby = await startCopy(server, dataDir);
    await sql(standby.url(), "select pg_promote()");
    const moved = movedNode(config, "external", standby.url("app"));
    await write(moved, "external", "update public.parent set note = 'promoted' where id = 1");
    await write(moved, "local", "delete from public.parent where id = 2");
    await expectSynced(moved);
    await expectFlow(moved);
  });
});

describe("C10: rows that only the returning node has", () => {
  for (const missing of ["keep", "delete"] as const) {
    test(`deleted so long ago that nobody remembers: a person says ${missing}`, async () => {
      await using linked = await linkedCluster(2, { schema });
      const { nodes, links } = linked;
      await begin(links.config);
      const copy = `${nodes.external.database}_r`;
      const restored = await dumpAndRestore(nodes.external.url, copy, nodes.local.server.url);
      try {
        await write(
          links.config,
          "local",
          "delete from public.parent where id in (2, 3); update public.parent set note = 'forgotten' where id = 9",
        );
        // acknowledged both ways, and then pruned at once: neither log names these rows. An open transaction of any database
        // on the server, of another test too, keeps entries for as long as it lasts.
        const left = `select count(*) from tandem_log."public.parent" where k1 in (2, 3, 9)`;
        let i = 0;
        const pruned = async () => {
          for (const node of ["local", "external"])
            await write(links.config, node, `update public.child set v = '${node} ${i}' where id = ${4 + (i % 4)}`);
          await expectSynced(links.config);
          for (const { admin } of nodes)
            await admin.query("update tandem.local_node set retention = '0'; select tandem.prune()");
          i++;
          return (
            i >= 4 && (await Promise.all(nodes.nodes.map(({ admin }) => admin.value(left)))).every((n) => n === "0")
          );
        };
        await waitFor(pruned, { deadlineMs: 150_000, what: "the logs without these rows" });
        const config = movedNode(links.config, "external", restored);
        await write(config, "external", "insert into public.parent values (40, 'name 40', 'copy')");
        const asked = await rejoin(config, "external");
        // the parents, and the children that went with them
        expect(asked.well).toBe(false);
        expect(asked.undecided).toBeGreaterThanOrEqual(4);
        const said = await rejoin(config, "external", { missing });
        expect({ renewed: said.renewed, undecided: said.undecided, well: said.well }).toEqual({
          renewed: false,
          undecided: 0,
          well: true,
        });
        const after = await notes(config);
        expect(Object.keys(after).filter((id) => ["2", "3"].includes(id))).toEqual(
          missing === "keep" ? ["2", "3"] : [],
        );
        // what the survivors have forgotten wins over what an old copy remembers; what the copy wrote since is there
        expect(after).toMatchObject({ 9: "forgotten", 40: "copy" });
        await expectFlow(config);
      } finally {
        await sql(nodes.local.server.url, `drop database if exists "${copy}" with (force)`);
      }
    });
  }
});
