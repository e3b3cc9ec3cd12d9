import {
  quote,
  type RandomColumn,
  type RandomReference,
  type RandomSchema,
  type RandomTable,
} from "./random-schema.ts";
import { literal } from "./random-values.ts";
import type { Random } from "./seed.ts";

/** One transaction of an application. */
export interface Transaction {
  readonly statements: readonly Write[];
  /** It is begun, stays open over later steps, and is then committed, or not. */
  readonly open: "no" | "commit" | "rollback";
}

/** One statement; `rolledBack`: in a savepoint that is taken back. */
export interface Write {
  readonly kind: "insert" | "update" | "delete" | "key update" | "upsert" | "multi-row" | "truncate" | "swap";
  readonly sql: string;
  readonly rolledBack: boolean;
}

const kinds = [
  "insert",
  "insert",
  "insert",
  "insert",
  "update",
  "update",
  "update",
  "delete",
  "delete",
  "key update",
  "upsert",
  "upsert",
  "multi-row",
  "multi-row",
] as const satisfies readonly Write["kind"][];

export function randomTransaction(
  random: Random,
  schema: RandomSchema,
  options: { mayStayOpen: boolean },
): Transaction {
  const count = random.pick([1, 1, 2, 2, 3, 5]);
  const open =
    options.mayStayOpen && random.chance(0.15) ? random.pick(["commit", "commit", "rollback"] as const) : "no";
  const statements: Write[] = [];
  for (let i = 0; i < count; i++) {
    const table = random.pick(schema.tables);
    // TRUNCATE keeps everybody out: in a transaction that stays open it would stop the test, not the product
    const kind =
      open === "no" && random.chance(0.015)
        ? "truncate"
        : table.uniques.length > 0 && random.chance(0.1)
          ? "swap"
          : random.pick(kinds);
    const text = statement(random, schema, table, kind);
    if (text !== null) statements.push({ kind, sql: text, rolledBack: random.chance(0.07) });
  }
  return { statements, open };
}

function statement(random: Random, schema: RandomSchema, table: RandomTable, kind: Write["kind"]): string | null {
  switch (kind) {
    case "insert":
      return insert(random, schema, table, 1);
    case "upsert":
      return upsert(random, schema, table);
    case "multi-row":
      return random.chance(0.5)
        ? insert(random, schema, table, random.int(2, 4))
        : `update ${table.name} set ${assignment(random, schema, table)} where ${someKeys(random, table, 3)}`;
    case "update":
      return `update ${table.name} set ${assignment(random, schema, table)} where ${someKeys(random, table, 1)}`;
    case "delete":
      return `delete from ${table.name} where ${someKeys(random, table, random.pick([1, 1, 1, 2]))}`;
    case "truncate":
      return `truncate ${table.name} cascade`;
    case "key update": {
      if (table.numbered === "always") return null;
      const column = random.pick(table.key);
      return `update ${table.name} set ${quote(column.name)} = ${keyValue(random, column)} where ${someKeys(random, table, 1)}`;
    }
    case "swap": {
      // several rows take each other's unique values in one statement
      const { columns } = table.uniques[0]!;
      const [u] = columns.map(quote);
      return `update ${table.name} t set ${u} = case t.${u} when 'a' then 'b' when 'b' then 'a' else t.${u} end where t.${u} in ('a', 'b')`;
    }
  }
}

const keyList = (table: RandomTable, alias = ""): string => table.key.map(({ name }) => alias + quote(name)).join(", ");

/** Rows that are there, chosen by the seed and not by their place. */
function someKeys(random: Random, table: RandomTable, count: number): string {
  const order = `md5(row(${keyList(table)})::text || '${random.int(0, 999)}')`;
  return `(${keyList(table)}) in (select ${keyList(table)} from ${table.name} order by ${order} limit ${count})`;
}

function keyValue(random: Random, column: RandomColumn): string {
  return literal(random.pick(column.value.values), column.value.type);
}

function insert(random: Random, schema: RandomSchema, table: RandomTable, rows: number): string {
  const byNumber = table.numbered !== null && random.chance(0.6);
  const columns = writable(table);
  const names = [...(byNumber ? [] : table.key), ...columns].map(({ name }) => quote(name));
  const values = Array.from({ length: rows }, () => {
    const refs = referenceValues(random, schema, table);
    const list = [
      ...(byNumber ? [] : table.key.map((column) => keyValue(random, column))),
      ...columns.map((column) => refs.get(column.name) ?? columnValue(random, column)),
    ];
    return `(${list.join(", ")})`;
  });
  const overriding = table.numbered === "always" && !byNumber ? "overriding system value" : "";
  return `insert into ${table.name} (${names.join(", ")}) ${overriding} values ${values.join(", ")}`;
}

function upsert(random: Random, schema: RandomSchema, table: RandomTable): string | null {
  const columns = writable(table);
  const [first] = columns;
  if (!first) return null;
  const changed = random.shuffle(columns).slice(0, 2);
  const names = [...table.key, ...columns].map(({ name }) => quote(name));
  const refs = referenceValues(random, schema, table);
  const values = [
    ...table.key.map((column) => keyValue(random, column)),
    ...columns.map((column) => refs.get(column.name) ?? columnValue(random, column)),
  ];
  const overriding = table.numbered === "always" ? "overriding system value" : "";
  return `insert into ${table.name} (${names.join(", ")}) ${overriding} values (${values.join(", ")})
    on conflict (${keyList(table)}) do update set ${changed.map(({ name }) => `${quote(name)} = excluded.${quote(name)}`).join(", ")}`;
}

function assignment(random: Random, schema: RandomSchema, table: RandomTable): string {
  const refs = referenceValues(random, schema, table);
  const chosen = random.shuffle(writable(table)).slice(0, random.int(1, 2));
  return chosen
    .map((column) => `${quote(column.name)} = ${refs.get(column.name) ?? columnValue(random, column)}`)
    .join(", ");
}

function writable(table: RandomTable): RandomColumn[] {
  return table.columns.filter((column) => column.generated === null);
}

function columnValue(random: Random, column: RandomColumn): string {
  if (!column.notNull && random.chance(0.15)) return "null";
  return literal(random.pick(column.value.values), column.value.type);
}

/** Mostly a parent that is there; now and then null, or one that is not. */
function referenceValues(random: Random, schema: RandomSchema, table: RandomTable): Map<string, string> {
  const values = new Map<string, string>();
  for (const reference of table.references) {
    const parent = schema.tables.find(({ name }) => name === reference.parent)!;
    const salt = random.int(0, 999);
    const none = random.chance(0.15);
    reference.columns.forEach((column, i) => {
      values.set(column, none ? "null" : parentValue(parent, reference, i, salt));
    });
  }
  return values;
}

function parentValue(parent: RandomTable, reference: RandomReference, i: number, salt: number): string {
  const column = quote(reference.parentColumns[i]!);
  return `(select ${column} from ${parent.name} order by md5(row(${keyList(parent)})::text || '${salt}') limit 1)`;
}
