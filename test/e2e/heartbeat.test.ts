import { expect, test } from "vitest";
import { createBackup } from "../../src/backup/create.ts";
import { silentLogger } from "../../src/base/logger.ts";
import type { Config } from "../../src/config/config.ts";
import { migrate } from "../../src/install/migrate.ts";
import { counts } from "../../src/sidecar/counts.ts";
import { runSidecar } from "../../src/sidecar/sidecar.ts";
import { status } from "../../src/sidecar/status.ts";
import { verify } from "../../src/verify/verify.ts";
import { tandem, tempFolder } from "../support/child.ts";
import { app, linkedCluster, ways } from "../support/link.ts";
import { afterTest, type Cluster, openClient, type TestNode } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

const schema = "create table public.t (id int primary key)";
const heartbeatMs = 100;

/** A sidecar of this process, which works on all links. */
function running(config: Config): AsyncDisposable {
  const end = new AbortController();
  const sidecar = runSidecar(config, { signal: end.signal });
  const stop = () => {
    end.abort();
    return sidecar;
  };
  afterTest(stop);
  return { [Symbol.asyncDispose]: stop };
}

/** Of each link, by `source target`, the newest heartbeat as its target has it: when it came, in milliseconds since 1970, and how long it took. */
async function heard(nodes: Iterable<TestNode>): Promise<Map<string, { at: number; tookMs: number }>> {
  const all = new Map<string, { at: number; tookMs: number }>();
  for (const { name, admin } of nodes) {
    const rows = await admin.query(`select peer, extract(epoch from heartbeat_at) * 1000 as at,
      extract(epoch from heartbeat) * 1000 as took from tandem.status where heartbeat_at is not null`);
    for (const { peer, at, took } of rows) all.set(`${peer} ${name}`, { at: Number(at), tookMs: Number(took) });
  }
  return all;
}

/** Until each of so many links has had a heartbeat that came after all those known. */
async function beaten(nodes: Cluster, links: number): Promise<void> {
  const before = await heard(nodes);
  await waitFor(async () => {
    const now = await heard(nodes);
    return now.size === links && [...now].every(([link, { at }]) => at > (before.get(link)?.at ?? 0));
  });
}

/** All that Tandem holds of it in a database. */
async function traces({ admin }: TestNode): Promise<string[]> {
  const rows = await admin.query(`select concat(relname, ' ', relkind) as it from pg_class
      where relnamespace in ('tandem'::regnamespace, 'tandem_log'::regnamespace) and relname like '%heartbeat%'
    union all select 'tracked ' || table_name from tandem.tracked_table where table_name <> 't'
    union all select 'inbound ' || table_name from tandem.inbound_table where table_name <> 't'
    union all select 'measured ' || heartbeat from tandem.inbound where num_nonnulls(heartbeat, heartbeat_at) > 0
    union all select 'conflict ' || table_name from tandem.conflict`);
  return rows.map(({ it }) => it ?? "");
}

for (const { way, options } of ways) {
  test(`each link is timed by a row of its own, which nobody sees; off, nothing of it is left, ${way}`, async () => {
    await using linked = await linkedCluster(3, { ...options, schema, heartbeatMs });
    const { nodes, links } = linked;
    const config = { ...links.config, backup: { ...links.config.backup, dir: await tempFolder() } };
    {
      await using _ = running(config);
      await beaten(nodes, 6);
      await app(nodes.local, "insert into public.t values (1)");
      for (const node of nodes) {
        await waitFor(async () => (await app(node, "select id from public.t")).length === 1);
      }
      await beaten(nodes, 6);
      for (const [link, { tookMs }] of await heard(nodes)) expect([link, tookMs > 0]).toEqual([link, true]);
      const report = await waitFor(async () => {
        const answer = await status(config);
        return answer.links.every(({ pending, met }) => pending === 0 && met) && answer;
      });
      expect(report.problems).toEqual([]);
      for (const { heartbeatMs: took, heartbeatAt } of report.links) {
        expect([took! > 0, Date.parse(heartbeatAt ?? "") > 0]).toEqual([true, true]);
      }
      for (const { node, tables } of report.nodes) expect([node, tables]).toEqual([node, 1]);
      expect((await counts(config)).tables.map(({ table }) => table)).toEqual(["t"]);
      expect(await verify(config)).toMatchObject({ identical: true, tables: [{ name: "t" }] });
      const made = await createBackup(config, { node: "local" });
      expect(made.rows).toBe(1);
    }
    // An interval of nothing but heartbeats leaves nothing to wait for.
    for (const { admin } of nodes) expect(await admin.query("select * from tandem.pending")).toEqual([]);
    await migrate({ ...config, sync: { ...config.sync, heartbeatMs: null } });
    for (const node of nodes) expect(await traces(node)).toEqual([]);
    expect(await links.expectRest()).toBe(1);
  });
}

test("a heartbeat takes as long as the row of an application would", async () => {
  await using linked = await linkedCluster(2, { schema, heartbeatMs });
  const { nodes, links } = linked;
  await using _ = running(links.config);
  await beaten(nodes, 2);
  // Nothing comes into external. One that is sent from now on is under way until this ends.
  const holder = await openClient(nodes.external.superUrl);
  await holder.query("begin; lock table tandem.staged in exclusive mode; lock table tandem.inbound in share mode");
  const before = (await heard([nodes.external])).get("local external")!;
  const beatOf = ({ admin }: TestNode) =>
    admin.value("select beat::text from tandem.heartbeat where (source, target) = ('local', 'external')");
  const last = await beatOf(nodes.external);
  await waitFor(async () => (await beatOf(nodes.local)) !== last);
  const seen = performance.now();
  await nodes.local.admin.query("select pg_sleep(0.3)");
  const heldMs = performance.now() - seen;
  await holder.query("commit");
  const after = await waitFor(async () => {
    const now = (await heard([nodes.external])).get("local external")!;
    return now.at > before.at && now.tookMs >= heldMs && now;
  });
  expect(after.tookMs).toBeGreaterThanOrEqual(heldMs);
});

test("a link that rests sends none, and the first one after it is new", async () => {
  await using linked = await linkedCluster(2, { schema, heartbeatMs });
  const { nodes, links } = linked;
  await using _ = running(links.config);
  await beaten(nodes, 2);
  await nodes.external.admin.query("select tandem.pause_link('local', 'a test')");
  const beat = "select string_agg(beat::text, ' ') from tandem.heartbeat where source = 'local'";
  // Once the pause has been seen, those of the other direction go on.
  await waitFor(async () => {
    const one = await nodes.local.admin.value(beat);
    await beatenFrom(nodes.local, 3);
    return one === (await nodes.local.admin.value(beat));
  });
  await nodes.external.admin.query("select tandem.resume_link('local')");
  await beaten(nodes, 2);
});

test("one that is lost on the way is waited for no longer than until all that was committed before has come", async () => {
  await using linked = await linkedCluster(2, { schema, heartbeatMs });
  const { nodes, links } = linked;
  await using _ = running(links.config);
  await beaten(nodes, 2);
  // Every other one is undone at the target, as by a newer change.
  await nodes.external.admin.query(`create function public.undo() returns trigger language plpgsql as $$
    begin if new.source = 'local' and random() < 0.5 then return null; end if; return new; end $$;
    create trigger undo before update on tandem.heartbeat for each row execute function public.undo();
    alter table tandem.heartbeat enable always trigger undo`);
  for (let n = 0; n < 3; n++) await beaten(nodes, 2);
});

test("a database where it is not on yet: the link goes on, and the log says what to do", async () => {
  await using linked = await linkedCluster(2, { schema });
  const { nodes, links } = linked;
  const lines: string[] = [];
  const end = new AbortController();
  const warn = (_: object, message: string) => lines.push(message);
  const logger = { ...silentLogger, warn };
  const sidecar = runSidecar(
    { ...links.config, sync: { ...links.config.sync, heartbeatMs } },
    { signal: end.signal, logger },
  );
  await waitFor(() => lines.some((line) => /no heartbeat was sent: .*run "tandem migrate"/.test(line)));
  await app(nodes.local, "insert into public.t values (1)");
  await waitFor(async () => (await app(nodes.external, "select id from public.t")).length === 1);
  end.abort();
  await sidecar;
});

test("as people see it: status says how long the last one took and when it came", async () => {
  await using linked = await linkedCluster(2, { schema, heartbeatMs });
  const { nodes, links } = linked;
  const env = { DATABASE_URL: nodes.local.url, EXTERNAL_DB_URL: nodes.external.url };
  const cwd = await tempFolder();
  const before = await tandem(["status"], { cwd, env });
  expect(before.stdout).not.toContain("heartbeat");
  {
    await using _ = running(links.config);
    await beaten(nodes, 2);
  }
  const after = await tandem(["status"], { cwd, env });
  expect(after.stdout).toMatch(/lag +heartbeat \(UTC\) +applied/);
  expect(after.stdout).toMatch(/local → external .* \d+ ms, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d/);
});

/** Until a node has had so many heartbeats from its peers. */
async function beatenFrom({ admin }: TestNode, count: number): Promise<void> {
  const at = () => admin.value("select max(heartbeat_at)::text from tandem.inbound");
  for (let n = 0; n < count; n++) {
    const last = await at();
    await waitFor(async () => (await at()) !== last);
  }
}
