import { expect, test, vi } from "vitest";
import { verify } from "../../src/verify/verify.ts";
import { brokenByQuery } from "../support/constraints.ts";
import { app, linked, ways } from "../support/link.ts";
import { numType } from "../support/num-type.ts";
import { cluster, contentOf, sql } from "../support/pg.ts";

vi.setConfig({ testTimeout: 180_000 });

test.each(ways)(
  "C3 C6 C7: keys, unique and referenced values of a type whose operators lie outside pg_catalog: $way",
  async ({ options }) => {
    await using nodes = await cluster(2, options);
    for (const { superUrl, url, owner } of nodes) {
      await sql(superUrl, `${numType}; ${owner ? `grant all on schema ext to "${owner}"` : ""}`);
      await sql(
        url,
        `set search_path = public, ext;
        create table item (id int primary key, n num unique, v text);
        create table node (id num primary key, parent num references node, v text);
        create table place (id int primary key, n num, unique (n) deferrable initially deferred);
        create table pair (id int primary key, n num, m num, unique (n, m));
        create table detail (id int primary key, n num references item (n) on update cascade)`,
      );
    }
    await using links = await linked(nodes);
    const { local, external } = nodes;
    const each = (statements: string) => `set search_path = public, ext; ${statements}`;
    // More rows than are looked at one by one.
    await app(
      local,
      each(`insert into item select i, i::text::num, 'v' from generate_series(1, 1000) i;
        insert into node select i::text::num, nullif(i - 1, 0)::text::num, 'v' from generate_series(1, 1000) i;
        insert into place select i, i::text::num from generate_series(1, 10) i;
        insert into pair select i, '1', i::text::num from generate_series(1, 10) i;
        insert into detail values (1, '5')`),
    );
    await links.sync();
    await app(
      local,
      each(`update item set n = '2000' where id = 5; insert into item values (3000, '3000', 'local');
        update place set n = '77' where id = 1; insert into pair values (77, '7', '7');
        insert into node values ('5000', '1000', 'new'); delete from node where id = '5000'`),
    );
    await app(
      external,
      each(`insert into item values (3001, '3000', 'external'); insert into detail values (2, '5');
        update place set n = '77' where id = 2; insert into pair values (78, '7', '7');
        update node set v = 'changed' where id = '3'`),
    );
    await app(local, "update item set v = 'many'");
    for (let i = 0; i < 3; i++) {
      await links.retryParked();
      await links.sync();
    }
    await links.expectRest();
    for (const table of ["item", "node", "place", "pair", "detail"]) {
      expect(await contentOf(external.superUrl, `public.${table}`)).toEqual(
        await contentOf(local.superUrl, `public.${table}`),
      );
    }
    for (const node of nodes) {
      await node.admin.query("set search_path = public, ext");
      expect(await brokenByQuery(node)).toEqual([]);
      expect(await node.admin.query("select id, n from place where id < 3 order by id")).toEqual([
        { id: "1", n: "1" },
        { id: "2", n: "77" },
      ]);
      expect(await node.admin.query("select n from detail order by id")).toEqual([{ n: "2000" }, { n: "2000" }]);
      expect(await node.admin.query("select id from pair where id > 70")).toEqual([{ id: "78" }]);
    }
    expect((await verify(links.config)).identical).toBe(true);
  },
);
