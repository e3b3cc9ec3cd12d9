import { describe, expect, test, vi } from "vitest";
import { brokenByQuery } from "../support/constraints.ts";
import { app, linkedCluster, ways } from "../support/link.ts";
import { contentOf, openClient, type TestNode, testMajor } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

vi.setConfig({ testTimeout: 180_000 });

const schemaWith = (
  unique: string,
  type = "text",
) => `create table public.place (id int primary key, rank ${type}, note text,
    ${unique} (rank) deferrable initially deferred);
  create table public.other (id int primary key, note text);
  insert into public.place values (1, 'a', 'first')`;
const schema = schemaWith("unique");

/** A type whose own equality heeds no case, as that of citext. */
const word = `create type public.word as (t text);
  create function public.word_cmp(public.word, public.word) returns int language sql immutable as
    'select case when lower($1.t) < lower($2.t) then -1 when lower($1.t) > lower($2.t) then 1 else 0 end';
  ${[
    ["lt", "<"],
    ["le", "<="],
    ["eq", "="],
    ["ge", ">="],
    ["gt", ">"],
  ]
    .map(
      ([
        name,
        operator,
      ]) => `create function public.word_${name}(public.word, public.word) returns boolean language sql immutable as
    'select public.word_cmp($1, $2) ${operator} 0';
  create operator public.${operator} (function = public.word_${name}, leftarg = public.word, rightarg = public.word);`,
    )
    .join("\n")}
  create operator class public.word_ops default for type public.word using btree as operator 1 public.<, operator 2 public.<=,
    operator 3 public.=, operator 4 public.>=, operator 5 public.>, function 1 public.word_cmp(public.word, public.word);`;

/** Holds an applier, while `gate` is 1, before it writes. */
const gate = `create sequence public.gate; select setval('public.gate', 1); grant all on sequence public.gate to public;
  alter function tandem.write_rows(jsonb, text) rename to write_rows_itself;
  create function tandem.write_rows(p_plans jsonb, p_where text default 'true') returns jsonb language plpgsql as $$
  begin
    while pg_sequence_last_value('public.gate') = 1 loop
      perform pg_sleep(0.01);
    end loop;
    return tandem.write_rows_itself(p_plans, p_where);
  end $$`;
const held =
  "select true from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep' and query ~ 'apply_batch'";

const parkedIn = (node: TestNode) => node.admin.query("select table_name, key, kind from tandem.parked_change");

describe.each(ways)("a deferrable unique value that the application writes too, in $way", ({ options }) => {
  /** `value` is written in both nodes; `between`: by the application only once the batch has been decided. */
  const written = async (schema: string, value: string, between: boolean, newest: string) => {
    await using linked = await linkedCluster(2, { ...options, schema });
    const { nodes, links } = linked;
    const { local, external } = nodes;
    await links.sync();
    if (between) await external.admin.query(gate);
    const session = await openClient(external.url);
    const claim = async () => {
      await session.query(`begin; insert into place values (5, ${value}, 'external')`);
    };
    if (!between) await claim();
    await app(
      local,
      `insert into place values (2, ${value}, 'local'); update place set note = 'changed' where id = 1; insert into other values (1, 'x')`,
    );
    const round = links.round("local", "external");
    if (between) {
      await waitFor(() => external.admin.value(held));
      await claim();
      await external.admin.query("select setval('public.gate', 2)");
    }
    await round;
    expect(await parkedIn(external)).toEqual([{ table_name: "place", key: "{2}", kind: "busy" }]);
    expect(await contentOf(external.superUrl, "public.place")).toEqual(["(1,changed,a)"]);
    expect(await contentOf(external.superUrl, "public.other")).toEqual(["(1,x)"]);
    await session.query("commit");
    for (let i = 0; i < 3; i++) {
      await links.retryParked();
      await links.sync();
    }
    await links.expectRest();
    for (const node of nodes) {
      expect(await brokenByQuery(node)).toEqual([]);
      expect(await contentOf(node.superUrl, "public.place")).toEqual(["(1,changed,a)", newest]);
    }
  };

  test.each([
    ["before the batch", false, "(2,local,c)"],
    ["between deciding and writing", true, "(5,external,c)"],
  ])(
    "C7 C9: written %s: the row that claims it waits, all else flows, and no value is there twice",
    (_, between, newest) => written(schema, "'c'", between, newest),
  );

  test.skipIf(testMajor() < 15).each([
    ["before the batch", false, "(2,local,)"],
    ["between deciding and writing", true, "(5,external,)"],
  ])("C7 C9: NULLS NOT DISTINCT: the same for no value at all, written %s", (_, between, newest) =>
    written(schemaWith("unique nulls not distinct"), "null", between, newest),
  );

  test.for([
    ["a text", "unique", "text", "'c'", "'c'"],
    // Only a superuser may create such a type, and only in replica role is it not PostgreSQL that compares.
    ...(options.owner
      ? []
      : [["a type with an equality of its own", "unique", "public.word", "row('c')", "row('C')"] as const]),
    ["no value at all, NULLS NOT DISTINCT", "unique nulls not distinct", "text", "null", "null"],
  ] as const)(
    "C7: written and committed between deciding and writing, %s: the row that claims it waits, and the newer one stays",
    async ([_, unique, type, ours, theirs], { skip }) => {
      skip(unique !== "unique" && testMajor() < 15, "PostgreSQL 15 brought NULLS NOT DISTINCT");
      const schema =
        (type === "text" ? "" : word) + schemaWith(unique, type).replace("'a'", type === "text" ? "'a'" : "row('a')");
      await using linked = await linkedCluster(2, { ...options, schema });
      const { nodes, links } = linked;
      const { local, external } = nodes;
      await links.sync();
      await external.admin.query(gate);
      await app(
        local,
        `insert into place values (2, ${ours}, 'local'); update place set note = 'changed' where id = 1`,
      );
      const round = links.round("local", "external");
      await waitFor(() => external.admin.value(held));
      await app(external, `insert into place values (5, ${theirs}, 'external')`);
      await external.admin.query("select setval('public.gate', 2)");
      await round;
      const waiting = "select key, kind, sqlstate from tandem.parked_change";
      expect(await external.admin.query(waiting)).toEqual([{ key: "{2}", kind: "refused", sqlstate: "23505" }]);
      expect(await external.admin.query("select id, note from place order by id")).toEqual([
        { id: "1", note: "changed" },
        { id: "5", note: "external" },
      ]);
      for (let i = 0; i < 3; i++) {
        await links.retryParked();
        await links.sync();
      }
      await links.expectRest();
      for (const node of nodes) {
        expect(await node.admin.query("select id from place order by id")).toEqual([{ id: "1" }, { id: "5" }]);
      }
    },
  );

  test("C9: who writes the table and is not over holds up only what claims such a value", async () => {
    await using linked = await linkedCluster(2, { ...options, schema });
    const { nodes, links } = linked;
    const { local, external } = nodes;
    await links.sync();
    const session = await openClient(external.url);
    await session.query("begin; insert into place values (5, 'e', 'external')");
    await app(local, "update place set note = 'changed', rank = rank; delete from place where rank = 'z'");
    await links.round("local", "external");
    expect(await parkedIn(external)).toEqual([]);
    expect(await contentOf(external.superUrl, "public.place")).toEqual(["(1,changed,a)"]);
    await session.query("rollback");
    await links.sync();
    await links.expectRest();
  });
});

test.each(ways)(
  "C6 C7: rows that a deferrable exclusion constraint forbids together wait for a person on either side, in $way",
  async ({ options }) => {
    await using linked = await linkedCluster(2, {
      ...options,
      schema: `create table public.booking (id int primary key, first int, last int, cancelled boolean,
      exclude using gist (int4range(first, last) with &&) where (not cancelled) deferrable initially deferred)`,
    });
    const { nodes, links } = linked;
    const { local, external } = nodes;
    await links.sync();
    await app(local, "insert into booking values (1, 1, 5, false), (3, 10, 12, false), (5, 20, 30, true)");
    await app(external, "insert into booking values (2, 3, 8, false), (4, 12, 15, false), (6, 20, 30, false)");
    await links.sync();
    for (const [node, there, waiting] of [
      [local, ["1", "3", "4", "5", "6"], "{2}"],
      [external, ["2", "3", "4", "5", "6"], "{1}"],
    ] as const) {
      expect(await node.admin.query("select id from booking order by id")).toEqual(there.map((id) => ({ id })));
      expect(await node.admin.query("select key, kind, sqlstate from tandem.parked_change")).toEqual([
        { key: waiting, kind: "refused", sqlstate: "23P01" },
      ]);
    }
    await app(external, "update booking set cancelled = true where id = 2");
    for (let i = 0; i < 2; i++) {
      await links.retryParked();
      await links.sync();
    }
    await links.expectRest();
    expect(await contentOf(external.superUrl, "public.booking")).toEqual(
      await contentOf(local.superUrl, "public.booking"),
    );
  },
);
