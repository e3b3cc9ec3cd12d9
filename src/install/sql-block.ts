import { quoteLiteral } from "../db/quote.ts";
import { doBlock, putBack, quoteFile, textArray } from "./do-block.ts";
import type { PackageFile } from "./package-files.ts";

/**
 * All of sql/ as one statement, and what was installed written down. It does nothing where the same files are
 * installed already. "create or replace" refuses a view whose columns changed and a function whose result or parameter
 * names changed: then what that file declares is dropped, with the views of Tandem that depend on it, and all is begun
 * anew; rights given on them are given again. Views and functions that no
 * file declares any more are dropped.
 */
export function sqlBlock(files: readonly PackageFile[]): string {
  return doBlock(
    `  v_paths constant text[] := ${textArray(files.map(({ path }) => path))};
  v_sums constant text[] := ${textArray(files.map(({ sha256 }) => sha256))};
  v_texts constant text[] := array[
${files.map(({ path, text }) => `-- ${path}\n${quoteFile(text)}`).join(",\n")}
  ];
${declarations}`,
    body,
  );
}

const declarations = `  v_bodies constant text := current_setting('check_function_bodies');
  v_file integer;
  v_stranger text;
  v_grants text[] := '{}';
  v_grant text;
  v_views oid[];
  v_functions oid[];
  v_drop text;`;

const body = `  if (select count(*) from tandem.sql_file f where f.path like 'sql/%') = cardinality(v_paths)
    and not exists (select from unnest(v_paths, v_sums) u (path, sum)
      where not exists (select from tandem.sql_file f where f.path = u.path and f.sha256 = u.sum))
  then
${putBack}
    return;
  end if;
  perform set_config('check_function_bodies', 'off', true);
  loop
    begin
      for i in 1 .. cardinality(v_paths) loop
        v_file := i;
        execute v_texts[i];
      end loop;
      exit;
    exception when others then
      if sqlstate not in ('42P13', '42P16') then
        raise exception using errcode = sqlstate, message = v_paths[v_file] || ': ' || sqlerrm;
      end if;
      with recursive declared (kind, name) as (
        select m[1], m[2] from regexp_matches(v_texts[v_file], '^create or replace (view|function) tandem\\.(\\w+)', 'gn') m
      ), way (class, oid) as (
        select 'pg_class'::regclass::oid, c.oid from pg_class c join declared d on d.name = c.relname and d.kind = 'view'
        where c.relnamespace = 'tandem'::regnamespace and c.relkind = 'v'
        union
        select 'pg_proc'::regclass, p.oid from pg_proc p join declared d on d.name = p.proname and d.kind = 'function'
        where p.pronamespace = 'tandem'::regnamespace
        union
        select 'pg_class'::regclass, r.ev_class from way w
        join pg_depend d on d.refclassid = w.class and d.refobjid = w.oid and d.classid = 'pg_rewrite'::regclass
        join pg_rewrite r on r.oid = d.objid
      )
      select array_agg(oid) filter (where class = 'pg_class'::regclass), array_agg(oid) filter (where class = 'pg_proc'::regclass)
      into v_views, v_functions from way;
      select c.oid::regclass::text into v_stranger from pg_class c
      where c.oid = any (v_views) and c.relnamespace <> 'tandem'::regnamespace order by 1 limit 1;
      if v_stranger is not null then
        raise exception using errcode = '2BP01', message =
          format('view %s depends on what %s changes: drop it, and create it again afterwards', v_stranger, v_paths[v_file]);
      end if;
      if v_views is null and v_functions is null then
        raise exception using errcode = sqlstate, message = v_paths[v_file] || ': ' || sqlerrm;
      end if;
      v_grants := v_grants || array(
        select format('grant %s on %s to %s', a.privilege_type, x.what, case a.grantee when 0 then 'public' else a.grantee::regrole::text end)
        from (select c.relacl, c.relowner, format('tandem.%I', c.relname) from pg_class c where c.oid = any (v_views)
          union all select p.proacl, p.proowner, format('function tandem.%I', p.proname) from pg_proc p where p.oid = any (v_functions)) x (acl, owner, what)
        cross join lateral aclexplode(x.acl) a
        where a.grantee <> x.owner);
      select string_agg(u::regclass::text, ', ') into v_drop from unnest(v_views) u;
      if v_drop is not null then
        execute 'drop view ' || v_drop;
      end if;
      select string_agg(u::regprocedure::text, ', ') into v_drop from unnest(v_functions) u;
      if v_drop is not null then
        execute 'drop function ' || v_drop;
      end if;
    end;
  end loop;
  -- Each file comments on what it declares: what bears an older comment is declared by none of them any more.
  select string_agg(c.oid::regclass::text, ', ') into v_drop
  from pg_class c join pg_description d on d.objoid = c.oid and d.classoid = 'pg_class'::regclass and d.objsubid = 0
  where c.relnamespace = 'tandem'::regnamespace and c.relkind = 'v' and age(d.xmin) > 0
    and c.relname not in (select t.changelog_view from tandem.tracked_table t);
  if v_drop is not null then
    execute 'drop view ' || v_drop;
  end if;
  select string_agg(p.oid::regprocedure::text, ', ') into v_drop
  from pg_proc p join pg_description d on d.objoid = p.oid and d.classoid = 'pg_proc'::regclass
  where p.pronamespace = 'tandem'::regnamespace and age(d.xmin) > 0 and p.proname <> 'floor_us';
  if v_drop is not null then
    execute 'drop function ' || v_drop;
  end if;
  perform tandem.make_changelog_view(t.table_id) from tandem.tracked_table t;
  foreach v_grant in array v_grants loop
    begin
      execute v_grant;
    exception when undefined_object or undefined_table or undefined_function or ambiguous_function then
      raise warning 'what was granted before is not now: %', v_grant;
    end;
  end loop;
  insert into tandem.sql_file (path, sha256) select * from unnest(v_paths, v_sums)
  on conflict (path) do update set sha256 = excluded.sha256, installed_at = excluded.installed_at
    where sql_file.sha256 <> excluded.sha256;
  delete from tandem.sql_file where path like 'sql/%' and path <> all (v_paths);
  perform set_config('check_function_bodies', v_bodies, true);`;

/** Notes the migrations' checksums, so that a later change of a released one is seen. */
export function writeSums(migrations: readonly PackageFile[]): string {
  const rows = migrations.map(({ path, sha256 }) => `(${quoteLiteral(path)}, ${quoteLiteral(sha256)})`);
  return `insert into tandem.sql_file (path, sha256) values ${rows.join(", ")} on conflict (path) do nothing;`;
}
