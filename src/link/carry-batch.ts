import type { Target } from "../base/ends.ts";
import { TandemError } from "../base/errors.ts";
import type {
  AskedKeys,
  MatchedTable,
  OpenBatch,
  ReadRequest,
  StagedTable,
  Staging,
  TableKeys,
  TableName,
  TableShape,
} from "../base/exchange.ts";
import { changesValues, chooseCopyFormat, matchColumns } from "./columns.ts";
import { tableLabel } from "./report.ts";

/** What is to be read of one table. */
export interface Wanted {
  readonly table: TableShape;
  readonly what: ReadRequest["what"];
}

/** What has been staged, ready to be applied. */
export interface Staged {
  readonly id: string;
  readonly tables: readonly StagedTable[];
  readonly rows: number;
}

/** A value that was not even of its column's type: the table is staged as text from now on. */
export class NotOfItsType extends Error {
  readonly table: TableName;
  constructor(table: TableName, cause: unknown) {
    super(`a value of ${tableLabel(table)} does not fit its column's type`, { cause });
    this.table = table;
  }
}

/** The identity of a table in a map. */
export const tableKey = ({ schema, name }: TableName): string => JSON.stringify([schema, name]);

/** What is known of the link's tables while a batch is staged. */
export interface StageRules {
  /** Tables whose values are staged as text. */
  readonly asText: ReadonlySet<string>;
  /** Tables that are held: no row of theirs is staged, not even for others. */
  readonly held: ReadonlySet<string>;
  readonly onRows: (table: TableName, rows: number) => void;
  /** Told of each table whose rows were staged by their types. */
  readonly onMatched: (table: MatchedTable) => void;
}

/**
 * Stages what is wanted, then what the target must know before it decides (local rows that would be blocked,
 * displaced or cascaded, what refers to rows that claim their values, and parents that are not here), read in the same snapshot, until nothing is missing.
 * Errors: `shape_changed` where a table's columns are not what they were when the link's tables were compared.
 */
export async function carryBatch(
  batch: OpenBatch,
  target: Target,
  wanted: readonly Wanted[],
  rules: StageRules,
): Promise<Staged> {
  return await target.stage(batch.tables, async (staging) => {
    const stage = new Stage(batch, staging, rules);
    for (const { table, what } of wanted) await stage.add(table, what, false);
    for (let round = 0; round < 100; round++) {
      const asked = await stage.notAskedYet(await staging.closure(stage.tables));
      if (asked.length === 0) break;
      for (const { table, keys } of asked) await stage.add(table, { kind: "asked", keys }, stage.has(table));
    }
    return { id: staging.id, tables: stage.tables, rows: stage.rows };
  });
}

class Stage {
  readonly #batch: OpenBatch;
  readonly #staging: Staging;
  readonly #targetShapes: ReadonlyMap<string, TableShape>;
  readonly #rules: StageRules;
  readonly #staged = new Map<string, StagedTable>();
  readonly #asked = new Set<string>();
  rows = 0;

  constructor(batch: OpenBatch, staging: Staging, rules: StageRules) {
    this.#batch = batch;
    this.#staging = staging;
    this.#targetShapes = new Map(staging.shapes.map((shape) => [tableKey(shape), shape]));
    this.#rules = rules;
  }

  get tables(): readonly StagedTable[] {
    return [...this.#staged.values()];
  }

  has(table: TableName): boolean {
    return this.#staged.has(tableKey(table));
  }

  /** A key is asked for once: what the source has not got stays missing. */
  async notAskedYet(missing: readonly AskedKeys[]): Promise<{ table: TableShape; keys: TableKeys["keys"] }[]> {
    const wanted: TableKeys[] = [];
    for (const { referring, ...rows } of missing) {
      if (!referring) wanted.push(rows);
      else {
        const keys = this.#fresh(rows, "referring to ");
        const found = keys.length > 0 ? await this.#batch.referring({ ...rows, keys }) : [];
        for (const row of found) {
          wanted.push(this.has(row) ? { ...row, keys: await this.#staging.unstaged(row) } : row);
        }
      }
    }
    const result = [];
    for (const rows of wanted) {
      const table = this.#batch.tables.find((shape) => tableKey(shape) === tableKey(rows));
      const keys = this.#fresh(rows, "");
      if (table && keys.length > 0) result.push({ table, keys });
    }
    return result;
  }

  #fresh({ keys, ...table }: TableKeys, what: string): TableKeys["keys"] {
    const name = (key: readonly string[]) => `${what}${tableKey(table)}${JSON.stringify(key)}`;
    const fresh = keys.filter((key) => !this.#asked.has(name(key)));
    for (const key of fresh) this.#asked.add(name(key));
    return fresh;
  }

  async add(source: TableShape, what: ReadRequest["what"], append: boolean): Promise<void> {
    const key = tableKey(source);
    const shape = this.#targetShapes.get(key);
    if (!shape?.exists || this.#rules.held.has(key)) return;
    if (changesValues(source, shape)) {
      throw new TandemError("shape_changed", `the columns of ${tableLabel(source)} changed while a batch was read`);
    }
    const { columns, unplaced } = matchColumns(source, shape);
    const asText = this.#rules.asText.has(key);
    const copyFormat = asText ? "text" : chooseCopyFormat(source, shape, columns);
    const table = { shape, columns, asText, copyFormat };
    const rows = () => this.#batch.rows({ table: source, columns, unplaced, copyFormat, what });
    let count: number;
    try {
      count = await this.#staging.fill(table, rows, append);
    } catch (error) {
      if (!asText && notOfItsType(error)) throw new NotOfItsType(source, error);
      throw error;
    }
    this.rows += count;
    if (!asText) this.#rules.onMatched({ source, target: shape, columns, unplaced });
    if (count > 0 || append) this.#staged.set(key, { ...table, known: this.#batch.known(source) });
    if (count > 0) this.#rules.onRows(source, count);
  }
}

/** SQLSTATE classes 22 (data) and 23 (constraint of a type), or 08P01 where a value ends too soon, met while a COPY filled the staging table. */
function notOfItsType(error: unknown): boolean {
  for (let inner = error; inner instanceof Error; inner = inner.cause) {
    const code: unknown = "code" in inner ? inner.code : undefined;
    if (typeof code !== "string" || inner instanceof TandemError) continue;
    // A pooler gives the latter of its own; only the server says in what.
    if (/^(22|23)/.test(code) || (code === "08P01" && "where" in inner && String(inner.where).startsWith("COPY")))
      return true;
  }
  return false;
}
