import { describe, expect, test } from "vitest";
import { configure } from "../support/install.ts";
import { cluster, openClient, sql } from "../support/pg.ts";
import { capturedNode, installSqlAs, trackTable } from "./capture-log.ts";

describe("a table that cannot be tracked is refused with TD011 and the reason", () => {
  const refusal = async (create: string, table = "t") => {
    const { run, client } = await capturedNode();
    await run(create);
    return trackTable(client, table).then(
      () => undefined,
      (error: { code?: string; message: string }) => `${error.code}: ${error.message}`,
    );
  };

  test("C11 no key at all", async () => {
    expect(await refusal("create table t (id int)")).toMatch(
      /^TD011: table public\.t has no primary key and no unique not-null index/,
    );
  });

  test("C11 only unique indexes that are partial, of expressions, nullable or deferrable", async () => {
    const create = `create table t (a int not null, b int, c int not null, d text not null, unique (b), unique (c) deferrable);
      create unique index on t (a) where a > 0; create unique index on t (lower(d))`;
    expect(await refusal(create)).toMatch(/^TD011: .*has no primary key/);
    expect(await refusal(`create table t (id int primary key deferrable)`)).toMatch(/^TD011: .*has no primary key/);
  });

  test("C11 INHERITS, parent and child", async () => {
    const create = "create table p (id int primary key); create table c (id int primary key) inherits (p)";
    expect(await refusal(create, "p")).toMatch(/^TD011: table public\.p takes part in table inheritance \(INHERITS\)/);
    expect(await refusal(create, "c")).toMatch(/^TD011: table public\.c takes part in table inheritance \(INHERITS\)/);
  });

  test("C11 of another owner", async () => {
    const { nodes } = await cluster(1, { owner: true });
    const [node] = nodes;
    await installSqlAs(node!.superUrl, node!.owner!);
    await configure(node!.url);
    await node!.admin.query("create table t (id int primary key)");
    const client = await openClient(node!.url);
    const error = await trackTable(client, "t").catch((e: { code?: string; message: string }) => e);
    expect(error).toMatchObject({
      code: "TD011",
      message: expect.stringMatching(/^table public\.t is owned by \w+, not by /),
    });
  });

  test("C11 what does not exist is TD010, also a partition by itself", async () => {
    const { run, client } = await capturedNode();
    await run("create table t (id int primary key) partition by list (id); create table t1 partition of t default");
    await expect(trackTable(client, "t1")).rejects.toMatchObject({ code: "TD010" });
    await expect(sql(client, "select tandem.track_table('public', 'nowhere')")).rejects.toMatchObject({
      code: "TD010",
    });
  });
});
