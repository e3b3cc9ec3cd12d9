import { sql } from "../support/pg.ts";
import { quote, type RandomSchema, type RandomTable } from "../support/random-schema.ts";
import type { HistoryNode } from "./nodes.ts";

/** One value that the application gave a row, and whether a later write had it before its eyes. */
interface Write {
  readonly node: string;
  readonly table: string;
  readonly image: string;
  superseded: boolean;
}

/** A row as a node has it: its image, and the writes that made it. */
interface Row {
  readonly image: string;
  readonly writes: ReadonlySet<Write>;
}

/** The rows of a node, by `table key`. */
type Rows = ReadonlyMap<string, Row>;

/**
 * The oracle of C5: every value ever written is in the tables, or superseded by a later write that had seen it, or in the
 * conflicts. It looks at the tables after each step, and shares nothing with Tandem: what changed at a node when its
 * application committed is a write; what changed when rows were carried came from a node that holds this image.
 */
export class Written {
  readonly #schema: RandomSchema;
  readonly #nodes: readonly HistoryNode[];
  readonly #rows = new Map<HistoryNode, Rows>();
  readonly #writes: Write[] = [];

  constructor(schema: RandomSchema, nodes: readonly HistoryNode[]) {
    this.#schema = schema;
    this.#nodes = nodes;
    for (const node of nodes) this.#rows.set(node, new Map());
  }

  /** The application of a node has committed. */
  async wrote(node: HistoryNode): Promise<void> {
    const before = this.#rows.get(node)!;
    const after = new Map<string, Row>();
    const images = await imagesOf(node, this.#schema);
    for (const [key, { table, image }] of images) {
      const old = before.get(key);
      if (old?.image === image) {
        after.set(key, old);
        continue;
      }
      const write = { node: node.name, table, image, superseded: false };
      this.#writes.push(write);
      after.set(key, { image, writes: new Set([write]) });
    }
    for (const [key, { image, writes }] of before) {
      if (images.get(key)?.image === image) continue;
      for (const write of writes) write.superseded = true;
      // An equal value that another node wrote meanwhile is the same one: it is adopted, and this writer had it before its eyes.
      for (const rows of this.#rows.values()) {
        const equal = rows.get(key);
        if (equal?.image === image) for (const write of equal.writes) write.superseded = true;
      }
    }
    this.#rows.set(node, after);
  }

  /** Rows may have been carried into these nodes. */
  async carried(targets: Iterable<HistoryNode>): Promise<void> {
    const looked = await Promise.all(
      [...new Set(targets)].map(async (node) => [node, await imagesOf(node, this.#schema)] as const),
    );
    const before = [...this.#rows.values()];
    for (const [node, images] of looked) {
      const after = new Map<string, Row>();
      for (const [key, { image }] of images) {
        // who holds the same image holds the same value, whoever wrote it; what nobody holds Tandem has made of an action
        const holders = before.map((rows) => rows.get(key)).filter((row) => row?.image === image);
        after.set(key, { image, writes: new Set(holders.flatMap((row) => [...row!.writes])) });
      }
      this.#rows.set(node, after);
    }
  }

  /** At rest: the values that are nowhere, one line each. */
  async lost(): Promise<string[]> {
    const there = new Set<string>();
    for (const node of this.#nodes) {
      for (const { table, image } of (await imagesOf(node, this.#schema)).values()) there.add(`${table} ${image}`);
      for (const line of await keptImages(node, this.#schema)) there.add(line);
    }
    return this.#writes
      .filter(({ superseded, table, image }) => !superseded && !there.has(`${table} ${image}`))
      .map(({ node, table, image }) => `${node} wrote ${table} ${image}, which is neither kept nor superseded`);
  }
}

/** Types in which equal values may be written differently: 1 and 1.00. */
const inexact = ["numeric", "float8", "char", "interval"];

/**
 * The columns of an image, in the order in which it is written. Not those that refer to a key of an inexact type: where two
 * nodes write one key differently, the foreign key itself takes the children along, and their value stays equal.
 */
function imageColumns(table: RandomTable): string[] {
  const following = new Set(table.references.flatMap(({ columns }) => columns));
  return [...table.key, ...table.columns]
    .filter(
      ({ name, generated, value }) => generated === null && !(following.has(name) && inexact.includes(value.kind)),
    )
    .map(({ name }) => name)
    .sort();
}

async function imagesOf(
  { looking }: HistoryNode,
  { tables }: RandomSchema,
): Promise<Map<string, { table: string; image: string }>> {
  const parts = tables.map((table, i) => {
    // as the output function writes it: a cast to text would cut the blanks of char(n) off; a row of nulls "is null", but is a value
    const text = (name: string) => `case num_nulls(t.${quote(name)}) when 0 then concat(t.${quote(name)}) end`;
    const texts = (names: readonly string[]) => names.map(text).join(", ");
    const key = texts(table.key.map(({ name }) => name));
    return `select ${i} as i, array[${key}]::text as key, array[${texts(imageColumns(table))}]::text as image from ${table.name} t`;
  });
  const rows = await sql(looking, parts.join(" union all "));
  return new Map(
    rows.map(({ i, key, image }) => {
      const table = tables[Number(i)]!.name;
      return [`${table} ${key}`, { table, image: image ?? "" }];
    }),
  );
}

/** Images in a node's conflicts, as `table image`. */
async function keptImages({ looking }: HistoryNode, { tables }: RandomSchema): Promise<string[]> {
  const columns = Object.fromEntries(tables.map((table) => [table.name, imageColumns(table)]));
  const rows = await sql(
    looking,
    `select x.name || ' ' || (select array_agg(u.v order by u.c collate "C") from unnest(x.columns, x.texts) u (c, v) where $1::jsonb -> x.name ? u.c)::text as line
     from tandem.conflict c
     cross join lateral (values (c.local_columns, c.local_values), (c.incoming_columns, c.incoming_values)) i (columns, texts)
     cross join lateral (select format('"%s"."%s"', c.schema_name, c.table_name) as name, i.columns, i.texts) x
     where x.columns is not null`,
    [JSON.stringify(columns)],
  );
  return rows.map(({ line }) => line ?? "");
}
