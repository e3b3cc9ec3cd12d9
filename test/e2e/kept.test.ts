import { expect, test, vi } from "vitest";
import type { Config } from "../../src/config/config.ts";
import { kept } from "../../src/doctor/kept.ts";
import { dropNode } from "../../src/install/drop-node.ts";
import { migrate } from "../../src/install/migrate.ts";
import { status } from "../../src/sidecar/status.ts";
import { configOf, withoutNode } from "../support/config.ts";
import { app, linkedCluster } from "../support/link.ts";
import { faults } from "./doctor-config.ts";

// Several databases and syncs: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 120_000 });

const schema = "create table public.t (id int primary key, v text);";

/** What is kept in vain, as status and doctor say it: `node: message` and the remedies. Both must agree. */
async function said(config: Config) {
  const report = await status(config);
  const problems = report.problems.filter(({ kind }) => kind === "kept");
  const findings = await faults(kept, config);
  expect(findings.map(({ node, message, remedy }) => ({ message: `Node ${node} ${message}`, remedy }))).toEqual(
    problems.map(({ message, remedy }) => ({ message, remedy })),
  );
  expect(new Set(findings.map(({ severity }) => severity))).toEqual(new Set(problems.length > 0 ? ["problem"] : []));
  return {
    well: report.well,
    problems: problems.map(({ message, remedy }) => `${message}. ${remedy}`),
    kept: report.kept.map(({ node, peer, changes, why }) => `${node} ${peer} ${changes} ${why}`),
  };
}

const nothing = { well: true, problems: [], kept: [] };

test("C11: what is kept for a node that was taken out of the file is named until it is dropped", async () => {
  await using linked = await linkedCluster(3, { schema });
  const { nodes, links } = linked;
  await app(nodes.local, "insert into public.t values (1, 'a')");
  await links.sync();
  expect(await said(links.config)).toEqual(nothing);
  await links.reopen();

  const fewer = withoutNode(links.config, "n3");
  const remedy = "`tandem drop-node n3` lets it go for good; to keep it, name it again and run `tandem migrate`.";
  const words = (node: string, n: string) =>
    `Node ${node} keeps ${n} for node n3, which the configuration does not name. ${remedy}`;
  // whether or not the nodes have been told
  for (const told of [false, true]) {
    if (told) await migrate(fewer);
    await app(nodes.local, `insert into public.t values (${told ? 3 : 2}, 'b')`);
    expect(await said(fewer)).toEqual({
      well: false,
      problems: [words("local", told ? "2 changes" : "1 change"), words("external", "0 changes")],
      kept: [`local n3 ${told ? 2 : 1} unnamed`, "external n3 0 unnamed"],
    });
  }
  await dropNode(fewer, "n3");
  expect(await said(fewer)).toEqual(nothing);
});

test("C11: what is kept for a link that was taken out of the file is named until the nodes are told", async () => {
  await using linked = await linkedCluster(3, { schema });
  const { nodes, links } = linked;
  await links.sync();
  await links.reopen();
  const chain = configOf(links.config.nodes, {
    pairs: [
      ["local", "external"],
      ["external", "n3"],
    ],
  });
  await app(nodes.local, "insert into public.t values (1, 'a')");
  expect(await said(chain)).toEqual({
    well: false,
    problems: [
      "Node local keeps 1 change for node n3, with which the configuration does not link it. Run `tandem migrate`.",
      "Node n3 keeps 0 changes for node local, with which the configuration does not link it. Run `tandem migrate`.",
    ],
    kept: ["local n3 1 unlinked", "n3 local 0 unlinked"],
  });
  await migrate(chain);
  expect((await said(chain)).problems).toEqual([]);
});

test("C11: what is kept for a node that is silent for longer than the retention is named until it is heard of again", async () => {
  await using linked = await linkedCluster(2, { schema });
  const { nodes, links } = linked;
  await app(nodes.local, "insert into public.t values (1, 'a'), (2, 'a')");
  await links.sync();
  const ago = (hours: number, what: "written" | "acknowledged") =>
    nodes.local.admin.query(
      what === "written"
        ? `update tandem_log."public.t" set stamp = stamp - interval '${hours} hours' where xid >= (select pg_snapshot_xmin(acknowledged) from tandem.outbound)`
        : `update tandem.outbound set acknowledged_at = now() - interval '${hours} hours'`,
    );
  const config = { ...links.config, sync: { ...links.config.sync, retentionMs: 5 * 3_600_000 } };
  // silent, but nothing waits; then something waits, but not for long
  await ago(7, "acknowledged");
  expect(await said(config)).toEqual(nothing);
  await app(nodes.local, "update public.t set v = 'b'");
  expect(await said(config)).toEqual(nothing);
  await ago(6, "written");
  const words = (since: string) =>
    `Node local keeps 2 changes for node external, which has ${since}. See that \`tandem run\` reaches it; if it is lost for good, \`tandem drop-node external\` lets it go.`;
  expect(await said(config)).toEqual({
    well: false,
    problems: [words("acknowledged none for 7 h")],
    kept: ["local external 2 silent"],
  });
  await links.sync();
  expect(await said(config)).toEqual(nothing);
  // one that has never come
  await app(nodes.local, "update public.t set v = 'c'");
  await ago(6, "written");
  await nodes.local.admin.query("update tandem.outbound set acknowledged_at = null");
  expect((await said(config)).problems).toEqual([words("never acknowledged any")]);
});
