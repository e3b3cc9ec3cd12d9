import { expect } from "vitest";
import { TandemError } from "../../src/base/errors.ts";
import type { Config } from "../../src/config/config.ts";
import { rejoin } from "../../src/sidecar/rejoin.ts";
import { type SyncReport, sync } from "../../src/sidecar/sync.ts";
import { contentOf } from "../support/content.ts";
import { expectEqual, sql } from "../support/pg.ts";

/** Rows that others refer to, and a second unique value. */
export const schema = `
  create table public.parent (id int primary key, name text not null unique, note text);
  create table public.child (id int primary key, parent_id int not null references public.parent on delete cascade, v text);`;

export const urlOf = (config: Config, node: string) => config.nodes.find(({ name }) => name === node)?.url ?? "";

/** Writes as the application does. */
export async function write(config: Config, node: string, text: string): Promise<void> {
  await sql(urlOf(config, node), text);
}

export const comparable = (config: Config) => config.nodes.map(({ name, url }) => ({ name, superUrl: url }));

export async function contents(config: Config): Promise<string[][]> {
  const tables = ["public.parent", "public.child"];
  return Promise.all(config.nodes.flatMap(({ url }) => tables.map((table) => contentOf(url, table))));
}

/** The code of each link's error; `well` without one. */
export const codes = ({ links }: SyncReport) =>
  links.map(({ error }) => (error === null ? "well" : error instanceof TandemError ? error.code : String(error)));

/** Nothing moves: each link says that a node is a stranger, and no row is touched. */
export async function expectRefused(config: Config): Promise<void> {
  const before = await contents(config);
  const report = await sync(config);
  expect(new Set(codes(report))).toEqual(new Set(["identity_mismatch"]));
  for (const { error } of report.links) expect((error as TandemError).hint).toContain("tandem rejoin");
  expect(await contents(config)).toEqual(before);
}

export async function expectSynced(config: Config): Promise<void> {
  const report = await sync(config);
  expect(codes(report)).toEqual(config.links.map(() => "well"));
  expect(report.well).toBe(true);
  await expectEqual(comparable(config));
}

/** `id note` of the parents in one node; all nodes are equal. */
export async function notes(config: Config): Promise<Record<string, string | null>> {
  await expectEqual(comparable(config));
  const rows = await sql(urlOf(config, "local"), "select id, note from public.parent");
  return Object.fromEntries(rows.map(({ id, note }) => [id, note ?? null]));
}

/** Every image of a conflict that lost, anywhere. */
export async function losers(config: Config): Promise<string[]> {
  const rows = await Promise.all(
    config.nodes.map(({ url }) =>
      sql(
        url,
        "select case winner when 'local' then incoming_image else local_image end as image from tandem.conflicts",
      ),
    ),
  );
  return [...new Set(rows.flat().map(({ image }) => image ?? "gone"))];
}

/** What all of these stories begin with: twelve parents with a child each, equal on both sides. */
export async function begin(config: Config): Promise<void> {
  await write(
    config,
    "local",
    `insert into public.parent select i, 'name ' || i, 'first' from generate_series(1, 12) i;
     insert into public.child select i, i, 'first' from generate_series(1, 12) i`,
  );
  await expectSynced(config);
}

/** Afterwards all goes on as ever, in both directions, and rest is rest. */
export async function expectFlow(config: Config): Promise<void> {
  for (const { name } of config.nodes) {
    await write(
      config,
      name,
      `insert into public.parent values (${500 + name.length}, 'of ${name}', 'flow'); update public.child set v = 'flow ${name}' where id = ${name.length}`,
    );
  }
  await expectSynced(config);
  const again = await sync(config);
  expect(
    again.links.map(({ report }) => [...(report?.tables.values() ?? [])].filter(({ staged }) => staged > 0)),
  ).toEqual(config.links.map(() => []));
  for (const { url } of config.nodes) expect(await sql(url, "select * from tandem.pending")).toEqual([]);
}

/** The node comes back, and nothing waits for a person. */
export async function healed(config: Config, node = "external"): Promise<void> {
  const report = await rejoin(config, node);
  expect(codes(report.sync)).toEqual(config.links.map(() => "well"));
  expect({ renewed: report.renewed, well: report.well, undecided: report.undecided }).toEqual({
    renewed: true,
    well: true,
    undecided: 0,
  });
}
