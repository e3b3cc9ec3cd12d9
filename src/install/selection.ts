import type { Config, TableRule, TriggerChoice } from "../config/config.ts";
import { parseTablePattern } from "../config/table-pattern.ts";
import { quoteLiteral } from "../db/quote.ts";

/**
 * What is to happen to a table. `failed`: named in the file, but it cannot be tracked. `kept`: tracked, and no longer
 * wanted by any rule, nor excluded by one; its capture stays until a person says so. `missing`: named, and not there.
 * `gone`: tracked, and not there any more.
 */
export type Decision = "track" | "untrack" | "left_out" | "failed" | "kept" | "missing" | "gone";

/** A row of `selectionQuery`. */
export interface SelectionRow {
  readonly schema_name: string;
  readonly table_name: string;
  readonly decision: Decision;
  /** Why it is not tracked by default, as tandem.table_candidates has it, or `excluded`, `not_listed`, `missing`, `no_column`. */
  readonly reason_code: string | null;
  readonly reason: string | null;
  readonly policy: string;
  readonly updated_at: string | null;
  /** What to do with the application's triggers; null: nothing. */
  readonly triggers: TriggerChoice | null;
  readonly tracked: "t" | "f";
}

interface Like {
  readonly schema: string;
  readonly table: string;
  /** Without a star: the names themselves. */
  readonly exact: readonly [string, string] | null;
}

const unquote = (half: string) => (half.startsWith('"') ? half.slice(1, -1).replaceAll('""', '"') : null);

function likeHalf(half: string): string {
  const literal = (text: string) => text.replace(/[\\%_]/g, "\\$&");
  const quoted = unquote(half);
  return quoted === null ? half.split("*").map(literal).join("%") : literal(quoted);
}

function asLike(pattern: string): Like[] {
  const parsed = parseTablePattern(pattern);
  if (parsed === null) return [];
  const name = (half: string) => unquote(half) ?? (half.includes("*") ? null : half);
  const [schema, table] = [name(parsed.schema), name(parsed.table)];
  const exact = schema !== null && table !== null ? ([schema, table] as const) : null;
  return [{ schema: likeHalf(parsed.schema), table: likeHalf(parsed.table), exact }];
}

const text = (value: string | null | undefined) => (value == null ? "null::text" : quoteLiteral(value));

function ruleRows(rules: readonly TableRule[]): string {
  const rows = rules.flatMap((rule, i) =>
    asLike(rule.name).map(
      ({ schema, table, exact }) =>
        `(${i}, ${text(schema)}, ${text(table)}, ${text(exact?.[0])}, ${text(exact?.[1])}, ${text(rule.conflict)}, ${text(rule.updatedAt)}, ${text(rule.triggers)})`,
    ),
  );
  const none = "(null::integer, null::text, null::text, null::text, null::text, null::text, null::text, null::text)";
  return `values ${rows.join(",\n    ") || none}`;
}

function excludeRows(patterns: readonly string[]): string {
  const rows = patterns.flatMap(asLike).map(({ schema, table }) => `(${text(schema)}, ${text(table)})`);
  return `values ${rows.join(", ") || "(null::text, null::text)"}`;
}

/**
 * The query that decides which tables are tracked. It is SQL, so that a script for somebody else's psql decides as
 * `migrate` does. Of several rules one without a star is the stronger, then the later one, as `ruleFor` has it.
 * `triggers` is for tables of which the file does not say it.
 */
export function selectionQuery(config: Config, triggers: TriggerChoice | null = null): string {
  return `with rule (position, schema_like, table_like, schema_name, table_name, policy, updated_at, triggers) as (
    ${ruleRows(config.tables ?? [])}
  ), excluded (schema_like, table_like) as (
    ${excludeRows(config.exclude)}
  ), named as (
    select schema_name, table_name from tandem.table_candidates
    union select schema_name, table_name from tandem.tracked_table where schema_name <> 'tandem'
    union select schema_name, table_name from rule where schema_name is not null
  ), seen as (
    select n.schema_name, n.table_name, c.relid, c.reason_code, c.reason, c.key_columns, t.table_id is not null as tracked,
      r.policy, r.updated_at, coalesce(r.triggers, ${text(triggers)}) as triggers, r.schema_name is not null as exact,
      case
        when exists (select from excluded x where n.schema_name like x.schema_like and n.table_name like x.table_like) then 'excluded'
        when ${config.tables === null ? "false" : "r.position is null"} then 'not_listed'
      end as not_wanted,
      r.schema_name is not null and r.updated_at is not null and not exists (select from pg_attribute a
        where a.attrelid = c.relid and a.attname = r.updated_at and not a.attisdropped) as no_column,
      exists (select from pg_class o where o.oid = c.relid and pg_has_role(current_user, o.relowner, 'USAGE')) as owned
    from named n
    left join tandem.table_candidates c on (c.schema_name, c.table_name) = (n.schema_name, n.table_name)
    left join tandem.tracked_table t on (t.schema_name, t.table_name) = (n.schema_name, n.table_name)
    left join lateral (select r.* from rule r where n.schema_name like r.schema_like and n.table_name like r.table_like
      order by r.schema_name is null, r.position desc limit 1) r on true
  ), decided as (
    select s.*, case
      when s.not_wanted is not null then case when s.tracked then 'untrack' else 'left_out' end
      when s.relid is null then case when s.tracked then 'gone' else 'missing' end
      when s.no_column then 'failed'
      when s.reason_code is null then 'track'
      when s.exact and s.reason_code in ('provider', 'bookkeeping', 'changelog') and s.owned and s.key_columns is not null then 'track'
      when s.exact then 'failed'
      when s.tracked then 'kept'
      else 'left_out'
    end as decision
    from seen s
  )
  select d.schema_name, d.table_name, d.decision, coalesce(d.policy, 'newest') as policy, d.updated_at, d.triggers, d.tracked,
    case when d.decision = 'track' then null
      else coalesce(d.not_wanted, case when d.relid is null then 'missing' when d.no_column then 'no_column' else d.reason_code end) end as reason_code,
    case
      when d.decision = 'track' then null
      when d.not_wanted = 'excluded' then 'is excluded in the configuration'
      when d.not_wanted = 'not_listed' then 'is not among the tables of the configuration'
      when d.relid is null then 'is not in this database'
      when d.no_column then format('has no column %I, which the configuration names as updated_at', d.updated_at)
      when d.exact and not d.owned then 'is not owned by ' || current_user
      when d.exact and d.key_columns is null then 'has no primary key and no unique not-null index: give it one and run "tandem migrate" again'
      else d.reason
    end as reason
  from decided d
  order by d.schema_name collate "C", d.table_name collate "C"`;
}
