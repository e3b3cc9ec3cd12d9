import { expect, test, vi } from "vitest";
import { restoreBackup } from "../../src/backup/restore.ts";
import { restoreNewDatabase } from "../../src/backup/restore-new.ts";
import { verifyBackup } from "../../src/backup/verify.ts";
import { cluster, contentOf, sql } from "../support/pg.ts";
import { backUp, backupConfig, manifestOf } from "./backup-support.ts";

vi.setConfig({ testTimeout: 180_000 });

/** What people build on the schemas of a provider. */
const schema = `
  create schema auth; create table auth.users (id int primary key, mail text); insert into auth.users values (1, 'a'), (2, 'b');
  create function auth.uid() returns int language sql stable as 'select 1';
  create schema supabase_functions; create table supabase_functions.hooks (id int primary key); create function supabase_functions.note() returns trigger language plpgsql as 'begin return new; end';
  create table profile (id int primary key, "user of" int not null, name text);
  alter table profile add constraint "the user's
    own" foreign key ("user of") references auth.users on delete cascade;
  comment on constraint "the user's
    own" on profile is 'goes with it';
  create table sale (id int primary key, profile int not null references profile);
  alter table profile enable row level security;
  create policy own on profile using ("user of" = auth.uid()); create policy every on profile for select using (true);
  create trigger hook after insert on profile for each row execute function supabase_functions.note();
  create view people as select p.name, u.mail from profile p join auth.users u on u.id = p."user of";
  create view names as select name from people; create view plain as select id from sale;
  comment on view names is 'of people';
  create table parted (id int, u int references auth.users, primary key (id)) partition by range (id);
  create table parted_1 partition of parted for values from (0) to (100); insert into parted values (1, 1), (2, 2);
  insert into profile values (1, 1, 'A'), (2, 2, 'B'); insert into sale values (1, 1), (2, 2), (3, 2)`;

test("B3 what refers to a provider's schema is named and left out, and all else is restored and proven", async () => {
  await using nodes = await cluster(1);
  const { local } = nodes;
  await local.admin.query(schema);
  const config = await backupConfig(nodes, { scratch: local.superUrl });
  const made = await backUp(config);
  const { notRestored } = await manifestOf(config, made);
  expect(notRestored.map(({ name }) => name)).toEqual([
    "public.parted: foreign key parted_u_fkey",
    "public.people: view",
    "public.profile: foreign key the user's\n    own",
    "public.profile: policy own",
    "public.profile: trigger hook",
  ]);
  expect(made.leftOut).toContainEqual({
    name: "public.profile: policy own",
    reason: "needs what is in no format (function auth.uid()): it is in the dump, and left out when that is restored",
  });
  expect(await verifyBackup(config, made.id)).toMatchObject({ reached: 3, error: null });

  const database = `${local.database}_new`;
  const url = local.superUrl.replace(/\/[^/]*$/, `/${database}`);
  await restoreNewDatabase(config, made.id, database);
  try {
    const left = await sql(
      url,
      `select (select string_agg(conname, ',' order by conname) from pg_constraint where contype = 'f') as keys,
      (select string_agg(polname, ',') from pg_policy) as policies, (select count(*) from pg_trigger where not tgisinternal) as triggers,
      (select string_agg(relname, ',' order by relname) from pg_class where relkind = 'v' and relnamespace = 'public'::regnamespace) as views`,
    );
    expect(left).toEqual([{ keys: "sale_profile_fkey", policies: "every", triggers: "0", views: "plain" }]);
    expect(await contentOf(url, "public.profile")).toEqual(await contentOf(local.superUrl, "public.profile"));
  } finally {
    await sql(local.superUrl, `drop database "${database}" with (force)`);
  }

  // Where the provider's schema is, rows come back with all that refers to it in force, also by way of the dump.
  await local.admin.query("delete from sale where id = 3; update profile set name = 'x'");
  await restoreBackup(config, made.id, { mode: "exact", from: "dump" });
  expect(await contentOf(local.superUrl, "public.profile")).toEqual(["(1,A,1)", "(2,B,2)"]);
  expect(await local.admin.value("select count(*) from pg_constraint where confrelid = 'auth.users'::regclass")).toBe(
    "3",
  );
});

test("B3 an extension in a provider's schema, and a default that needs it", async (context) => {
  await using nodes = await cluster(1);
  const { local } = nodes;
  const there = await local.admin.value("select count(*) from pg_available_extensions where name = 'pgcrypto'");
  if (there === "0") return context.skip("the server has no pgcrypto");
  await local.admin.query(`create schema extensions; create table extensions.provided (id int primary key); create extension pgcrypto with schema extensions;
    create table item (id uuid primary key default extensions.gen_random_uuid(), code text default extensions.crypt('x', 'ab'));
    insert into item select from generate_series(1, 3)`);
  const config = await backupConfig(nodes, { scratch: local.superUrl });
  const made = await backUp(config);
  expect(made.leftOut).toMatchObject([{ name: "extensions.provided" }]);
  expect(await verifyBackup(config, made.id)).toMatchObject({ reached: 3, error: null });
});

test("B3 functions of a provider's schema that tables call in a default, a generated column, a check or an index come along", async () => {
  await using nodes = await cluster(1);
  const { local } = nodes;
  await local.admin.query(`create schema auth; create table auth.users (id int primary key, mail text);
    create function auth.uid() returns int language sql stable as $$ select nullif(current_setting('request.uid', true), '')::int $$;
    create function auth.first() returns int language sql stable as 'select min(id) from auth.users';
    create function auth.short(text) returns text language sql immutable as 'select left($1, 3)';
    create function auth.fits(int) returns boolean language plpgsql immutable as 'begin return $1 > 0; end';
    create function auth.unused() returns int language sql as 'select 1';
    create table note (id int primary key, owner int default auth.uid(), other int default auth.first(), body text,
      head text generated always as (auth.short(body)) stored, check (auth.fits(id)));
    create index on note (auth.short(body));
    insert into auth.users values (7, 'x'); insert into note (id, owner, body) select g, g, 'body ' || g from generate_series(1, 20) g`);
  const config = await backupConfig(nodes, { scratch: local.superUrl });
  const made = await backUp(config);
  const { providerFunctions } = await manifestOf(config, made);
  expect(providerFunctions.map(({ definition }) => /FUNCTION (\S+)\(/.exec(definition)?.[1]).sort()).toEqual([
    "auth.first",
    "auth.fits",
    "auth.short",
    "auth.uid",
  ]);
  expect(await verifyBackup(config, made.id)).toMatchObject({ reached: 3, error: null });

  const database = `${local.database}_new`;
  const url = local.superUrl.replace(/\/[^/]*$/, `/${database}`);
  await restoreNewDatabase(config, made.id, database);
  try {
    expect(await contentOf(url, "public.note")).toEqual(await contentOf(local.superUrl, "public.note"));
    await sql(url, "set request.uid = 5; insert into note (id, other, body) values (21, 1, 'later')");
    expect(await sql(url, "select owner, head from note where id = 21")).toEqual([{ owner: "5", head: "lat" }]);
    // The provider's tables are not there: what needs them says so when it is called, not before.
    await expect(sql(url, "insert into note (id) values (22)")).rejects.toThrow(/auth\.users/);
    await expect(sql(url, "insert into note (id, other) values (0, 1)")).rejects.toThrow(/check constraint/);
  } finally {
    await sql(local.superUrl, `drop database "${database}" with (force)`);
  }
});
