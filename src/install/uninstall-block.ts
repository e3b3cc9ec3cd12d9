import { doBlock } from "./do-block.ts";
import { installLock } from "./lock.ts";
import { type Between, patientDeclarations, patientEnd, patiently } from "./track-block.ts";

/** What shows that a schema called tandem is this Tandem's. */
export const isInstalled = `(to_regclass('tandem.sql_file') is not null or to_regclass('tandem.tracked_table') is not null
    or to_regclass('tandem.migrations') is not null)`;

/** Takes the capture from every table, one at a time, as far as the functions for that are there. */
export function untrackBlock(between: Between): string {
  const body = `${refuseStrangers}
  if to_regprocedure('tandem.untrack_table(text,text)') is not null and to_regclass('tandem.tracked_table') is not null then
    for v_row in select t.schema_name, t.table_name from tandem.tracked_table t order by t.table_id loop
${patiently("        perform tandem.untrack_table(v_row.schema_name, v_row.table_name);", between)}
    end loop;
  end if;
${patientEnd}`;
  return doBlock(patientDeclarations, body);
}

/**
 * Removes what is left, whatever it is, in one transaction: it relies on none of Tandem's functions, so that it also
 * removes what is half there or newer. Errors: 2BP01 something of the application's depends on it.
 */
export function removeBlock(): string {
  return doBlock("  v_row record;", remove);
}

/** Only the check that `removeBlock` begins with, for before anything is taken away. */
export function refusalBlock(): string {
  return doBlock("  v_row record;", refuseStrangers);
}

/** The same for a script, which asks for locks again by itself. */
export function removeBlockPatiently(between: Between): string {
  return doBlock(patientDeclarations, `${patiently(remove, between)}\n${patientEnd}`);
}

/** Views of the application's on Tandem's would go unseen with what they use, or stand in the way half-way through. */
const refuseStrangers = `  for v_row in
    select distinct c.oid::regclass::text as dependent, o.refobjid::regclass::text as what
    from pg_depend o
    join pg_class w on w.oid = o.refobjid and o.refclassid = 'pg_class'::regclass
      and w.relnamespace in (select n.oid from pg_namespace n where n.nspname in ('tandem', 'tandem_log'))
    join pg_rewrite v on v.oid = o.objid and o.classid = 'pg_rewrite'::regclass
    join pg_class c on c.oid = v.ev_class
      and c.relnamespace not in (select n.oid from pg_namespace n where n.nspname in ('tandem', 'tandem_log'))
    order by 1
  loop
    raise exception 'view % uses %: drop it first', v_row.dependent, v_row.what using errcode = '2BP01';
  end loop;`;

const remove = `  if not ${isInstalled} then
    raise notice 'Tandem is not installed here';
  else
    perform pg_advisory_xact_lock(${installLock});
${refuseStrangers}
    if to_regclass('tandem.interleaved_sequence') is not null then
      for v_row in
        select format('%I.%I', i.schema_name, i.sequence_name) as name, i.increment_before from tandem.interleaved_sequence i
      loop
        if to_regclass(v_row.name) is not null then
          execute format('alter sequence %s increment by %s', v_row.name, v_row.increment_before);
        end if;
      end loop;
    end if;
    for v_row in
      select g.tgname, g.tgrelid::regclass as rel
      from pg_trigger g
      join pg_proc p on p.oid = g.tgfoid
      join pg_namespace n on n.oid = p.pronamespace
      where n.nspname in ('tandem', 'tandem_log') and g.tgparentid = 0 and not g.tgisinternal
      order by g.tgrelid, g.tgname
    loop
      execute format('drop trigger %I on %s', v_row.tgname, v_row.rel);
    end loop;
    drop schema if exists tandem_log cascade;
    drop schema tandem cascade;
  end if;`;
