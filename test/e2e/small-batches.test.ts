import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { SmallResult } from "../../src/base/exchange.ts";
import type { Clock } from "../../src/base/time.ts";
import type { Link } from "../../src/link/link.ts";
import { app, type Links, linkedCluster, ways } from "../support/link.ts";
import { type Cluster, openClient, testMajor } from "../support/pg.ts";
import { preparation, valuesOf } from "./apply-values.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 180_000 });

const schema = `
create table public.parent (id int primary key, name varchar(5) unique, n int default 0);
create table public.child (id int primary key, parent_id int not null references public.parent, v text check (v <> 'bad'));
create table public.plain (id serial primary key, v text);`;

/** It stands still: every few seconds a round goes the usual way. */
const clock: Clock = { now: () => 1_000_000, sleep: async () => {} };

/** How the batches of a link went since it was asked last: "small", or "usual" for those that were given up. */
function watch(link: Link): () => string[] {
  let went: string[] = [];
  const { source, target } = link;
  const read = source.readSmall.bind(source);
  source.readSmall = async (request) => {
    const batch = await read(request);
    if (batch === null) went.push("usual");
    return batch;
  };
  const apply = target.applySmall.bind(target);
  target.applySmall = async (request): Promise<SmallResult | null> => {
    const result = await apply(request);
    went.push(result === null ? "usual" : "small");
    return result;
  };
  return () => {
    const all = went;
    went = [];
    return all;
  };
}

for (const { way, options } of ways) {
  describe(`small batches in ${way}`, () => {
    let linked: Awaited<ReturnType<typeof linkedCluster>>;
    let nodes: Cluster;
    let links: Links;
    let link: Link;
    let went: () => string[];

    beforeEach(async () => {
      linked = await linkedCluster(2, { ...options, schema, clock });
      ({ nodes, links } = linked);
      await app(
        nodes.local,
        `insert into parent select i, 'p' || i from generate_series(1, 5) i;
         insert into child select i, i, 'c' from generate_series(1, 3) i; insert into plain (v) values ('a'), ('b')`,
      );
      await links.sync();
      link = await links.link("local", "external");
      went = watch(link);
      // each table has gone the usual way once over this link
      await app(nodes.local, "update parent set n = 1; update child set v = 'd'; update plain set v = v || '1'");
      while ((await link.round()).worked);
      went();
    });
    afterEach(() => linked[Symbol.asyncDispose]());

    /** Writes at local, and says how the change was carried to external. */
    async function carried(statement: string): Promise<string[]> {
      await app(nodes.local, statement);
      expect(await link.round(true)).toMatchObject({ worked: true });
      return went();
    }

    test.each([
      ["an insert", "insert into plain (v) values ('new')"],
      ["an update", "update plain set v = 'changed' where id = 1"],
      ["a deletion", "delete from plain where id = 2"],
      ["a row changed twice", "update plain set v = 'once'; update plain set v = 'twice'"],
      ["a key that moves", "update plain set id = 77 where id = 1"],
      ["a child", "insert into child values (9, 4, 'e')"],
    ])("C3: %s that nobody else has changed comes in two messages", async (_, statement) => {
      expect(await carried(statement)).toEqual(["small"]);
      await links.expectRest();
      expect(await links.conflicts("external")).toEqual([]);
    });

    test("C7: rows of several tables, parents and children, come as one", async () => {
      const both = "insert into child values (8, 7, 'e')";
      await app(nodes.local, `begin; insert into parent values (7, 'p7'); ${both}; commit`);
      expect(await link.round(true)).toMatchObject({ worked: true });
      // an ordinary owner's foreign keys are checked statement by statement
      expect(went()).toEqual([way === "replica role" ? "small" : "usual"]);
      await links.expectRest();
    });

    test("what is acknowledged with the next message is acknowledged at rest, and by whoever comes after", async () => {
      const acknowledged = () =>
        nodes.local.admin.value(
          "select o.acknowledged::text from tandem.outbound o join tandem.peer p using (peer_id) where p.name = 'external'",
        );
      const position = () =>
        nodes.external.admin.value(
          "select i.position::text from tandem.inbound i join tandem.peer p using (peer_id) where p.name = 'local'",
        );
      expect(await carried("update plain set v = 'x'")).toEqual(["small"]);
      expect(await acknowledged()).not.toBe(await position());
      expect(await link.round()).toMatchObject({ worked: false, reached: true });
      expect(await acknowledged()).toBe(await position());
      // an applier that ends in between: the next one's first round brings nothing and tells it
      expect(await carried("update plain set v = 'y'")).toEqual(["small"]);
      await links.reopen();
      await links.sync();
      expect(await acknowledged()).toBe(await position());
      await links.expectRest();
    });

    test("many after each other stay small, and an interleaved applier is noticed", async () => {
      for (let i = 0; i < 5; i++) expect(await carried(`insert into plain (v) values ('${i}')`)).toEqual(["small"]);
      const other = await links.another("local", "external");
      try {
        await app(nodes.local, "insert into plain (v) values ('other')");
        await other.link.round();
      } finally {
        for (const connection of other.connections) await connection.close();
      }
      expect(await carried("insert into plain (v) values ('after')")).toEqual(["usual"]);
      await links.expectRest();
      expect(await links.conflicts("external")).toEqual([]);
    });

    test("C5: a conflict goes the usual way, and both images are kept", async () => {
      await app(nodes.external, "update plain set v = 'theirs' where id = 1");
      expect(await carried("update plain set v = 'mine' where id = 1")).toEqual(["usual"]);
      expect(await links.conflicts("external")).toEqual(["plain 1 update/update incoming"]);
      await links.sync();
      await links.expectRest();
    });

    test("C5: a row that appears here between deciding and writing is not overwritten", async () => {
      const blocker = await openClient(nodes.external.url);
      try {
        await blocker.query("begin; insert into plain (id, v) values (50, 'theirs')");
        expect(await carried("insert into plain (id, v) values (50, 'mine')")).toEqual(["usual"]);
      } finally {
        await blocker.query("commit");
        await blocker.end();
      }
      await links.retryParked();
      await links.sync();
      await links.retryParked();
      await links.sync();
      await links.expectRest();
      const winner = await nodes.local.admin.value("select v from plain where id = 50");
      const kept = await nodes.external.admin.query("select * from tandem.conflicts");
      expect(JSON.stringify(kept)).toContain(winner === "mine" ? "theirs" : "mine");
    });

    test.each([
      [
        "the row it refers to is missing",
        "external",
        "delete from parent where id = 5",
        "insert into child values (9, 5, 'e')",
      ],
      [
        "others refer to the row it deletes",
        "external",
        "insert into child values (9, 4, 'e')",
        "delete from parent where id = 4",
      ],
      [
        "another row holds its value",
        "external",
        "insert into parent values (20, 'same')",
        "insert into parent values (21, 'same')",
      ],
      [
        "the target refuses the row",
        "external",
        "alter table plain add check (v <> 'no')",
        "update plain set v = 'no'",
      ],
      [
        "blanks make it too long",
        "external",
        "alter table parent alter name type varchar(3)",
        "update parent set name = 'ab  ' where id = 1",
      ],
      [
        "a column is new here",
        "local",
        "alter table plain add extra text",
        "update plain set extra = 'e' where id = 1",
      ],
      [
        "the rows are large",
        "local",
        "select 1",
        "update plain set v = (select string_agg(md5(i::text), '') from generate_series(1, 10000) i)",
      ],
      ["there are many rows", "local", "select 1", "insert into plain (v) select 'm' from generate_series(1, 300)"],
    ])("where %s it goes the usual way", async (_, where, before, statement) => {
      await nodes.node(where).admin.query(before.replace(/\b(plain|parent|child)\b/, "public.$1"));
      expect(await carried(statement)).toEqual(["usual"]);
    });

    test("C9: a row that the application holds locked holds up nobody", async () => {
      const blocker = await openClient(nodes.external.url);
      try {
        await blocker.query("begin; select from plain where id = 1 for update");
        expect(await carried("update plain set v = 'locked'")).toEqual(["usual"]);
        expect(await nodes.external.admin.value("select v from public.plain where id = 2")).toBe("locked");
      } finally {
        await blocker.end();
      }
      await links.retryParked();
      await links.sync();
      await links.expectRest();
    });

    test("a paused link carries nothing, and parked rows are looked after with the next batch", async () => {
      await nodes.external.admin.query("select tandem.pause_link('local', 'a test')");
      await app(nodes.local, "update plain set v = 'paused'");
      expect(await link.round(true)).toMatchObject({ worked: false });
      expect(await nodes.external.admin.value("select count(*) from public.plain where v = 'paused'")).toBe("0");
      await nodes.external.admin.query("select tandem.resume_link('local')");
      await links.sync();
      await links.expectRest();
    });

    test("a locked table at the source is waited for the usual way", async () => {
      const blocker = await openClient(nodes.local.url);
      await app(nodes.local, "update plain set v = 'behind'");
      await blocker.query("begin; lock table plain in access exclusive mode");
      const round = link.round(true);
      // given up at once by the short way; the usual one waits
      await vi.waitFor(() => expect(went()).toEqual(["usual"]), { timeout: 60_000 });
      await blocker.end();
      await round.catch((error: unknown) => expect(error).toMatchObject({ code: "lock_timeout" }));
      await links.sync();
      await links.expectRest();
    });
  });

  test(`C3: every type comes byte for byte in a small batch, in ${way}`, async () => {
    const types = valuesOf(testMajor());
    const isArray = (type: string) => type.endsWith("[]");
    const columns = types.map(([type], i) => `v${i} ${type}, w${i} ${isArray(type) ? type : `${type}[]`}`);
    await using linked = await linkedCluster(2, {
      ...options,
      clock,
      settings: {},
      schema: `${preparation} create table public.v (id int primary key, ${columns.join(", ")});`,
    });
    const { nodes, links } = linked;
    const client = await openClient(nodes.local.url);
    try {
      await client.query("set standard_conforming_strings = on; set extra_float_digits = 1");
      const insert = (n: number) => {
        const cells = types.map(([type, list]) => {
          const value = `(${list[n % list.length]})::${type}`;
          return isArray(type)
            ? `${value}, ${value}`
            : `${value}, array[${value}${type === "public.short_name" ? "" : ", null"}]::${type}[]`;
        });
        return client.query(`insert into public.v values (${n}, ${cells.join(", ")})`);
      };
      await insert(0);
      await links.sync();
      const link = await links.link("local", "external");
      await insert(1);
      while ((await link.round()).worked);
      const went = watch(link);
      const rows = Math.max(...types.map(([, list]) => list.length));
      for (let n = 2; n < rows; n++) {
        await insert(n);
        await link.round(true);
      }
      expect(went()).toEqual(Array.from({ length: rows - 2 }, () => "small"));
      expect(await links.expectRest()).toBe(rows);
    } finally {
      await client.end();
    }
  });
}
