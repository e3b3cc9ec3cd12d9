import { describe, expect, test, vi } from "vitest";
import type { Config } from "../../src/config/config.ts";
import { migrate } from "../../src/install/migrate.ts";
import { rejoin } from "../../src/sidecar/rejoin.ts";
import { sync } from "../../src/sidecar/sync.ts";
import { configOf } from "../support/config.ts";
import { dumpAndRestore, movedNode, withDatabase } from "../support/copies.ts";
import { linkedCluster, ways } from "../support/link.ts";
import { afterTest, sql, type TestNode } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import {
  begin,
  codes,
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

// Several databases and syncs: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 300_000 });

/** A copy of a node's database beside it, as `CREATE DATABASE … TEMPLATE` makes it; its URL, with the node's role. */
async function cloned(node: TestNode, suffix: string): Promise<string> {
  const { database, server, owner } = node;
  const copy = `${database}_${suffix}`;
  await node.admin.close();
  await sql(server.url, `create database "${copy}" template "${database}"${owner ? ` owner "${owner}"` : ""}`);
  afterTest(() => dropDatabase(server.url, copy));
  return withDatabase(node.url, copy);
}

async function dropDatabase(url: string, database: string): Promise<void> {
  await sql(url, `drop database if exists "${database}" with (force)`);
}

const ids = async (config: Config, node: string) =>
  (await sql(urlOf(config, node), "select id from public.parent order by id")).map(({ id }) => Number(id));

/** Writes of these nodes go round, and the node whose connection this is prunes, until it has pruned what the test waits for. */
async function pruned(
  config: Config,
  { nodes, admin, from = 4 }: { nodes: readonly string[]; admin: TestNode["admin"]; from?: number },
  { gone, what }: { gone: string; what: string },
): Promise<void> {
  let i = 0;
  const isPruned = async () => {
    for (const node of nodes)
      await write(config, node, `update public.child set v = '${node} ${i}' where id = ${from + (i % 4)}`);
    await sync(config);
    await admin.query("update tandem.local_node set retention = '0'; select tandem.prune()");
    i++;
    return (await admin.value(`select not exists (${gone})`)) === "t";
  };
  await waitFor(isPruned, { deadlineMs: 150_000, what });
}

const deletions = ["parent", "child"].map((table) => `select from tandem_log."public.${table}" where k1 in (2, 3)`);

describe("C10: a clone is used as a third node under another name", () => {
  for (const { way, options } of ways) {
    test(`it takes part with all that it holds, and the one that it was copied from goes on, ${way}`, async () => {
      await using linked = await linkedCluster(2, { ...options, schema });
      const { nodes, links } = linked;
      await begin(links.config);
      const url = await cloned(nodes.external, "n3");
      await write(links.config, "external", "update public.parent set note = 'external later' where id in (1, 2)");
      await write(links.config, "local", "delete from public.parent where id = 3");
      const config = configOf([...links.config.nodes, { name: "n3", url }]);
      await write(
        config,
        "n3",
        "update public.parent set note = 'clone' where id in (2, 4); insert into public.parent values (30, 'name 30', 'clone')",
      );
      // until it is told who it is, it is the node that it was copied from
      await expect(migrate(config)).rejects.toMatchObject({ code: "identity_mismatch" });
      await healed(config, "n3");
      await migrate(config);
      await expectSynced(config);
      expect(await notes(config)).toMatchObject({
        1: "external later",
        2: "clone",
        4: "clone",
        30: "clone",
        5: "first",
      });
      expect(await ids(config, "n3")).toEqual([1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 30]);
      await expectFlow(config);
    });
  }
});

describe("C10: a database is made anew under the old name", () => {
  for (const { way, migrated } of [
    { way: "and migrated first", migrated: true },
    { way: "and not migrated", migrated: false },
  ]) {
    test(`empty, with rows of its own since, ${way}: it gets all, and nothing is deleted elsewhere`, async () => {
      await using linked = await linkedCluster(2, { schema });
      const { nodes, links } = linked;
      await begin(links.config);
      const { external } = nodes;
      await links.reopen();
      await external.admin.close();
      await dropDatabase(external.server.url, external.database);
      await sql(external.server.url, `create database "${external.database}"`);
      await sql(external.url, schema);
      await write(
        links.config,
        "external",
        "insert into public.parent values (30, 'name 30', 'anew'), (1, 'name 1', 'anew')",
      );
      await write(
        links.config,
        "local",
        "update public.parent set note = 'local later' where id = 2; delete from public.parent where id = 3",
      );
      expect(new Set(codes(await sync(links.config)))).toEqual(new Set(["not_installed"]));
      if (migrated) {
        await migrate(links.config);
        await expectRefused(links.config);
      }
      // nobody can know whether row 30 is new or was deleted long ago
      const asked = await rejoin(links.config, "external");
      expect({ renewed: asked.renewed, undecided: asked.undecided }).toEqual({ renewed: true, undecided: 1 });
      const said = await rejoin(links.config, "external", { missing: "keep" });
      expect({ undecided: said.undecided, well: said.well }).toEqual({ undecided: 0, well: true });
      // of a row that is there twice the image that local knows stays, and the other one is kept
      expect(await notes(links.config)).toMatchObject({ 1: "first", 2: "local later", 5: "first", 30: "anew" });
      expect(await losers(links.config)).toEqual(["id = '1', name = 'name 1', note = 'anew'"]);
      expect(await ids(links.config, "external")).toEqual([1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 30]);
      await expectFlow(links.config);
    });
  }
});

test("C10: a renamed database is the same node", async () => {
  await using linked = await linkedCluster(2, { schema });
  const { nodes, links } = linked;
  await begin(links.config);
  const { external } = nodes;
  await links.reopen();
  await external.admin.close();
  const renamed = `${external.database}_renamed`;
  await sql(external.server.url, `alter database "${external.database}" rename to "${renamed}"`);
  afterTest(() => dropDatabase(external.server.url, renamed));
  const config = movedNode(links.config, "external", withDatabase(external.url, renamed));
  await write(config, "external", "update public.parent set note = 'renamed' where id = 1");
  await expectSynced(config);
  const report = await rejoin(config, "external");
  expect({ renewed: report.renewed, well: report.well }).toEqual({ renewed: false, well: true });
  await expectFlow(config);
});

test("C10: both nodes are restored at once, from copies of different times", async () => {
  await using linked = await linkedCluster(2, { schema });
  const { nodes, links } = linked;
  await begin(links.config);
  const { local, external } = nodes;
  const restore = async (from: TestNode, onto: TestNode) => {
    const database = `${from.database}_r`;
    afterTest(() => dropDatabase(onto.server.url, database));
    return await dumpAndRestore(from.url, database, onto.server.url);
  };
  const restoredLocal = await restore(local, external);
  await write(
    links.config,
    "local",
    "update public.parent set note = 'local later' where id = 1; delete from public.parent where id = 2",
  );
  await write(links.config, "external", "insert into public.parent values (20, 'name 20', 'external later')");
  await expectSynced(links.config);
  const restoredExternal = await restore(external, local);
  await write(links.config, "local", "update public.parent set note = 'lost with both' where id = 3");
  await links.reopen();
  const config = movedNode(movedNode(links.config, "external", restoredExternal), "local", restoredLocal);
  await write(
    config,
    "local",
    "update public.parent set note = 'local copy' where id = 4; insert into public.parent values (30, 'name 30', 'local copy')",
  );
  await write(
    config,
    "external",
    "update public.parent set note = 'external copy' where id = 5; insert into public.parent values (31, 'name 31', 'external copy')",
  );
  await expectRefused(config);
  // one after the other: the first one comes back to a node that is a stranger itself
  const first = await rejoin(config, "external");
  expect({ renewed: first.renewed, well: first.well }).toEqual({ renewed: true, well: false });
  expect(new Set(codes(first.sync))).toEqual(new Set(["identity_mismatch"]));
  await healed(config, "local");
  expect(await notes(config)).toMatchObject({
    1: "local later",
    3: "first",
    4: "local copy",
    5: "external copy",
    20: "external later",
    30: "local copy",
    31: "external copy",
  });
  expect(await ids(config, "local")).not.toContain(2);
  await expectFlow(config);
});

test("C10: one of three is restored: all stand still, and what only one neighbour had from it reaches the other", async () => {
  await using linked = await linkedCluster(3, { schema });
  const { nodes, links } = linked;
  await begin(links.config);
  const url = await cloned(nodes.node("n3"), "r");
  await write(
    links.config,
    "n3",
    "update public.parent set note = 'n3 later' where id = 1; delete from public.parent where id = 2",
  );
  await links.catchUp("n3", "local");
  await write(links.config, "external", "update public.parent set note = 'external later' where id = 3");
  await links.catchUp("external", "local");
  await links.reopen();
  const config = movedNode(links.config, "n3", url);
  await write(config, "n3", "update public.parent set note = 'copy' where id in (3, 4)");
  await write(config, "local", "update public.parent set note = 'local later' where id = 5");
  await expectRefused(config);
  await healed(config, "n3");
  expect(await notes(config)).toMatchObject({ 1: "n3 later", 3: "copy", 4: "copy", 5: "local later" });
  expect(await ids(config, "external")).not.toContain(2);
  await expectFlow(config);
});

test("C10: one of three is restored: what one survivor has pruned and the other one remembers is no question", async () => {
  await using linked = await linkedCluster(3, { schema });
  const { nodes, links } = linked;
  await begin(links.config);
  const url = await cloned(nodes.node("n3"), "r");
  await write(links.config, "local", "delete from public.parent where id in (2, 3)");
  const local = nodes.local.admin;
  await pruned(
    links.config,
    { nodes: ["local", "external", "n3"], admin: local },
    { gone: deletions.join(" union all "), what: "the maker's log without these deletions" },
  );
  await links.reopen();
  const config = movedNode(links.config, "n3", url);
  await write(config, "n3", "insert into public.parent values (40, 'name 40', 'copy')");
  await healed(config, "n3");
  for (const { name } of config.nodes) expect(await ids(config, name)).toEqual([1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 40]);
  await expectFlow(config);
});

test("C3 C10: what is kept of a node that came back stays everywhere, also where a node behind the survivor remembers its deletion", async () => {
  const pairs = [
    ["local", "external"],
    ["external", "n3"],
  ] as const;
  await using linked = await linkedCluster(3, { schema, pairs: [...pairs] });
  const { nodes, links } = linked;
  await begin(links.config);
  const url = await cloned(nodes.node("n3"), "r");
  await write(links.config, "local", "delete from public.parent where id in (2, 3)");
  const { admin } = nodes.external;
  await pruned(
    links.config,
    { nodes: ["local", "external", "n3"], admin },
    { gone: deletions.join(" union all "), what: "the survivor's log without these deletions" },
  );
  const remembered = `select count(*) from tandem_log."public.parent" where op = 'D' and k1 in (2, 3)`;
  expect(await nodes.local.admin.value(remembered)).toBe("2");
  await links.reopen();
  const config = movedNode(links.config, "n3", url);
  expect((await rejoin(config, "n3")).undecided).toBeGreaterThanOrEqual(4);
  expect(await rejoin(config, "n3", { missing: "keep" })).toMatchObject({ undecided: 0, well: true });
  await expectSynced(config);
  for (const { name } of config.nodes) expect(await ids(config, name)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  // The node that came back holds it by the same version: what it hears of later must end there as it ends elsewhere.
  const version = `select stamp::text, origin from tandem_log."public.parent" where k1 = 2 order by stamp desc, origin desc limit 1`;
  const versions = await Promise.all(config.nodes.map(({ url }) => sql(url, version)));
  expect(versions[0]).toMatchObject([{ origin: "external" }]);
  expect(versions).toEqual(config.nodes.map(() => versions[0]));
  // No conflict: the deletion was seen.
  expect((await losers(config)).filter((image) => image === "gone" || / name [23]\b/.test(image))).toEqual([]);
  await expectFlow(config);
});

test("C3 C5 C10: a change from two links away, older than the survivor's row counted as when a node came back, leaves all equal", async () => {
  const pairs = [
    ["local", "external"],
    ["external", "n3"],
    ["n3", "n4"],
  ] as const;
  await using linked = await linkedCluster(4, { schema, pairs: [...pairs] });
  const { nodes, links } = linked;
  await begin(links.config);
  const url = await cloned(nodes.node("n4"), "r");
  await write(links.config, "n3", "update public.parent set note = 'n3 later' where id = 1");
  await expectSynced(links.config);
  await nodes.external.admin.query("select tandem.pause_link('local', 'test')");
  await write(links.config, "local", "update public.parent set note = 'local later' where id = 1");
  const stamp = `select max(stamp) from tandem_log."public.parent" where k1 = 1 and origin = 'local'`;
  const changed = await nodes.local.admin.value(stamp);
  const { admin } = nodes.node("n3");
  await pruned(
    links.config,
    { nodes: ["external", "n3", "n4"], admin },
    {
      gone: `select from tandem_log."public.parent" where k1 = 1 union all select where tandem.log_begin() <= '${changed}'`,
      what: "a survivor's log that begins later",
    },
  );
  await links.reopen();
  const config = movedNode(links.config, "n4", url);
  expect((await rejoin(config, "n4")).renewed).toBe(true);
  expect(await sql(url, "select note from public.parent where id = 1")).toEqual([{ note: "n3 later" }]);
  await nodes.external.admin.query("select tandem.resume_link('local')");
  await expectSynced(config);
  expect(await notes(config)).toMatchObject({ 1: "n3 later" });
  expect(await losers(config)).toContain("id = '1', name = 'name 1', note = 'local later'");
  expect(await sql(url, "select distinct rule from tandem.conflicts where winner = 'local'")).toEqual([
    { rule: "assumed" },
  ]);
  await expectFlow(config);
});

test("C10: a row that the survivor has no entry of any more, and that waits for its parent, is not beaten by what the copy remembers", async () => {
  await using linked = await linkedCluster(2, { schema: schema.replace("on delete cascade", "on delete restrict") });
  const { nodes, links } = linked;
  await begin(links.config);
  const url = await cloned(nodes.external, "r");
  await write(links.config, "local", "update public.child set parent_id = 6, v = 'moved' where id = 5");
  const { admin } = nodes.local;
  await pruned(
    links.config,
    { nodes: ["local", "external"], admin, from: 7 },
    { gone: `select from tandem_log."public.child" where k1 = 5`, what: "the survivor's log without this row" },
  );
  await links.reopen();
  const config = movedNode(links.config, "external", url);
  // The survivor's row forbids this deletion, so its parent comes back there while it waits.
  await write(config, "external", "delete from public.child where id = 6; delete from public.parent where id = 6");
  await rejoin(config, "external");
  await sql(url, "select tandem.retry_parked(null)");
  await expectSynced(config);
  expect(await sql(url, "select parent_id, v from public.child where id = 5")).toEqual([
    { parent_id: "6", v: "moved" },
  ]);
  await expectFlow(config);
});
