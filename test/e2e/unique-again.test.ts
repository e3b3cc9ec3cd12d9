import { describe, expect, test, vi } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";
import { contentOf } from "../support/pg.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 180_000 });

const schema = `
  create table public.customer (id int primary key, email text not null unique check (email <> 'refused'));
  create table public.visit (id int primary key, customer int not null references public.customer);
  create table public.plan (id int primary key, name text not null unique);
  create table public.seat (id int primary key, plan text not null references public.plan (name) on update restrict);
  create table public.arrival (id int primary key);`;

describe.each(ways)("a batch that is decided more than once, in $way", ({ options }) => {
  test("C3 C7: a claim falls back as it would the first time, when a key appears meanwhile", async () => {
    await using linked = await linkedCluster(2, { ...options, schema });
    const { nodes, links } = linked;
    await app(nodes.local, "insert into customer values (2, 'before')");
    await links.sync();
    // What a sequence has given stays given: only the first try meets a key that was not there when it began.
    await app(
      nodes.external,
      `create sequence tries;
       create function appears() returns trigger language plpgsql as $$ begin
         if new.id = 1 and nextval('public.tries') = 1 then insert into public.arrival values (2); end if;
         return new;
       end $$;
       create trigger appears before insert on arrival for each row execute function appears();
       alter table arrival enable always trigger appears;
       insert into customer values (1, 'claimed'); insert into visit values (1, 1)`,
    );
    await app(
      nodes.local,
      "begin; update customer set email = 'claimed' where id = 2; insert into arrival values (1), (2); commit",
    );
    await links.round("local", "external");
    expect(Number(await nodes.external.admin.value("select nextval('tries')"))).toBeGreaterThan(2);
    expect(await links.parked("external")).toEqual([]);
    await links.sync();
    await links.expectRest();
    expect(await contentOf(nodes.local.superUrl, "public.customer")).toEqual(["(before,2)", "(claimed,1)"]);
  });

  test("C3 C7: what is kept for another row is noted once, in however many pieces the batch goes on", async () => {
    await using linked = await linkedCluster(2, { ...options, schema });
    const { nodes, links } = linked;
    await app(nodes.local, "insert into customer values (9, 'before'); insert into plan values (9, 'known')");
    await links.sync();
    // However little a call does, its time is over.
    await nodes.external.admin.query(
      `alter function tandem.apply_split(jsonb, boolean, timestamptz, bigint) rename to apply_split_in_time;
       create function tandem.apply_split(jsonb, boolean, timestamptz, bigint) returns jsonb language sql
       as $$ select tandem.apply_split_in_time($1, $2, '-infinity', $4) $$`,
    );
    await app(
      nodes.external,
      "insert into customer values (10, 'claimed'); insert into visit values (1, 10); insert into seat values (1, 'known')",
    );
    await app(nodes.local, "alter table customer drop constraint customer_email_check");
    await app(
      nodes.local,
      `begin; insert into customer values (1, 'refused'), (2, 'fine'); update customer set email = 'claimed' where id = 9;
       update plan set name = 'changed'; commit`,
    );
    await links.round("local", "external");
    expect(await links.parked("external")).toEqual(["customer 1 refused"]);
    expect(
      await nodes.external.admin.query(
        "select table_name, local_key::text, incoming_key::text from tandem.fallback_pair order by 1",
      ),
    ).toEqual([
      { table_name: "customer", local_key: "{10}", incoming_key: "{9}" },
      { table_name: "seat", local_key: "{1}", incoming_key: "{public,plan,9}" },
    ]);
    await app(nodes.external, "alter table customer drop constraint customer_email_check");
    await links.retryParked();
    await links.sync();
    await links.expectRest();
    expect(await contentOf(nodes.local.superUrl, "public.customer")).toContain("(before,9)");
    expect(await contentOf(nodes.local.superUrl, "public.plan")).toEqual(["(9,known)"]);
  });
});
