import type { Readable } from "node:stream";
import { TandemError } from "../base/errors.ts";
import type { Connection } from "../db/connection.ts";
import { quoteLiteral } from "../db/quote.ts";
import { copyIn } from "./load-rows.ts";
import type { ManifestTable } from "./manifest.ts";
import type { RestoreTable } from "./restore-choice.ts";
import {
  actingKeysQuery,
  applyChanges,
  countChanges,
  findChanges,
  forgetChanges,
  isStranded,
  makeStage,
  markHolders,
  markIdentities,
  type RestoreMode,
  type Stage,
  stagedLines,
  strandedQuery,
  uniqueIndexesQuery,
} from "./restore-sql.ts";
import { holdsTable } from "./table-content.ts";

/** What became, or would become, of the rows of a table. */
export interface RestoredTable {
  readonly schema: string;
  readonly name: string;
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
  /** Removed for not being in the backup: `exact` only. */
  readonly deleted: number;
  /** Not in the backup, and kept: `merge` only. */
  readonly extra: number;
}

interface Counts {
  readonly inserts: number;
  readonly updates: number;
  readonly extra: number;
  readonly lines: number;
}

/** What is told of a table that was as in the backup already. */
export function unchangedTable({ schema, name, rows }: ManifestTable): RestoredTable {
  return { schema, name, inserted: 0, updated: 0, unchanged: rows, deleted: 0, extra: 0 };
}

/** A restore within its transaction, step by step. */
export class RestoreWork {
  readonly stages: readonly Stage[];
  readonly #staged: Stage[] = [];
  readonly #tx: Connection;
  readonly #mode: RestoreMode;
  readonly #counts = new Map<Stage, Counts>();
  readonly #signal: AbortSignal | undefined;
  /** Foreign keys that would act on rows that are taken out and put in again: away for as long as that takes. */
  readonly #actingKeys = new Map<string, { readonly drop: string; readonly add: string }>();

  constructor(tx: Connection, tables: readonly RestoreTable[], mode: RestoreMode, signal?: AbortSignal) {
    this.#tx = tx;
    this.#mode = mode;
    this.#signal = signal;
    this.stages = tables.map((table, number) => ({ ...table, number }));
  }

  /** Whether a table holds the backup's rows and no others: there is nothing to do for it then, and it is counted as unchanged. */
  async isSame(stage: Stage): Promise<boolean> {
    const same = await holdsTable(this.#tx, stage.table, stage.partitioned);
    if (same) this.#counts.set(stage, { inserts: 0, updates: 0, extra: 0, lines: stage.table.rows });
    return same;
  }

  /** Brings a table's lines to the server, and sees that they are those of the manifest. */
  async stage(stage: Stage, lines: readonly [Readable, ...NodeJS.ReadWriteStream[]]): Promise<void> {
    const { schema, name, rows, hash } = stage.table;
    await this.#tx.exec(makeStage(stage));
    this.#staged.push(stage);
    const content = await copyIn(this.#tx, lines, stagedLines(stage), this.#signal);
    if (content.rows === rows && content.hex() === hash) return;
    throw new TandemError("backup_damaged", `the rows of ${schema}.${name} are not those of the manifest`, {
      table: `${schema}.${name}`,
    });
  }

  /** Finds what differs. */
  async compare(): Promise<void> {
    for (const stage of this.#staged) {
      await this.#tx.exec(findChanges(stage));
      this.#counts.set(stage, await this.#count(stage));
    }
  }

  /** Finds rows that must give a value away first; refuses what foreign keys would do to tables that are not restored. */
  async check(): Promise<void> {
    for (const stage of this.#staged) {
      const { updates, extra } = this.#countsOf(stage);
      if (updates > 0) await this.#markReplaced(stage);
      if (this.#mode === "exact" && extra > 0) await this.#refuseStranded(stage);
    }
  }

  async #markReplaced(stage: Stage): Promise<void> {
    const identities = markIdentities(stage);
    if (identities !== null) await this.#tx.exec(identities);
    for (const row of await this.#tx.query(uniqueIndexesQuery(stage))) {
      const expressions = JSON.parse(row.expressions ?? "[]") as string[];
      await this.#tx.exec(markHolders(stage, { expressions, predicate: row.predicate ?? null }));
    }
    const [replaced] = await this.#tx.query(
      `select count(*) as n from pg_temp.tandem_changes_${stage.number} where op = 'R'`,
    );
    if (Number(replaced?.n) === 0) return;
    for (const { relation, name, definition, comment } of await this.#tx.query(actingKeysQuery(stage))) {
      this.#actingKeys.set(`${relation} ${name}`, {
        drop: `alter table ${relation} drop constraint ${name}`,
        add: [
          `alter table ${relation} add constraint ${name} ${definition}`,
          ...(comment == null ? [] : [`comment on constraint ${name} on ${relation} is ${quoteLiteral(comment)}`]),
        ].join("; "),
      });
    }
  }

  /** What is not restored must not lose rows. */
  async #refuseStranded(stage: Stage): Promise<void> {
    for (const { child, name, matches } of await this.#tx.query(strandedQuery(stage, this.stages))) {
      const [row] = await this.#tx.query(isStranded(stage, child ?? "", matches ?? ""));
      if (row?.stranded !== "t") continue;
      throw this.#refused(
        stage,
        `rows that are not in the backup would go, and rows of ${child} with them (${name}); restore that table too`,
      );
    }
  }

  /** Tables that something is to be written to. */
  get changed(): readonly Stage[] {
    return this.#staged.filter((stage) => {
      const { inserts, updates, extra } = this.#countsOf(stage);
      return inserts + updates + (this.#mode === "exact" ? extra : 0) > 0;
    });
  }

  /** Writes all changes of all tables at once. */
  async apply(): Promise<void> {
    for (const { drop } of this.#actingKeys.values()) await this.#tx.exec(drop);
    await this.#tx.exec("set constraints all deferred");
    await this.#tx.exec(applyChanges(this.changed, this.#mode));
    await this.#tx.exec("set constraints all immediate");
    for (const { add } of this.#actingKeys.values()) await this.#tx.exec(add);
  }

  /** Looks again: nothing may differ that should not, whatever rules, actions or policies have done. */
  async confirm(): Promise<void> {
    for (const stage of this.stages) {
      const extra = this.#mode === "exact" ? 0 : this.#countsOf(stage).extra;
      if (extra === 0 && (await holdsTable(this.#tx, stage.table, stage.partitioned))) continue;
      const now = await this.#lookAgain(stage);
      if (now === null) throw this.#refused(stage, "afterwards it would not be as backed up any more");
      if (now.inserts === 0 && now.updates === 0 && now.extra === extra) continue;
      throw this.#refused(
        stage,
        `afterwards ${now.inserts} rows would be missing, ${now.updates} other than backed up, ${now.extra} not in the backup instead of ${extra}`,
      );
    }
  }

  /** Null: the table was as it should be, and its lines were not brought here. */
  async #lookAgain(stage: Stage): Promise<Counts | null> {
    if (!this.#staged.includes(stage)) return null;
    await this.#tx.exec(`${forgetChanges(stage)}; ${findChanges(stage)}`);
    return await this.#count(stage);
  }

  /** What became of the rows, by table. */
  report(): RestoredTable[] {
    return this.stages.map((stage) => {
      const { schema, name } = stage.table;
      const { inserts, updates, extra, lines } = this.#countsOf(stage);
      const exact = this.#mode === "exact";
      return {
        ...{ schema, name, inserted: inserts, updated: updates, unchanged: lines - inserts - updates },
        ...{ deleted: exact ? extra : 0, extra: exact ? 0 : extra },
      };
    });
  }

  #countsOf(stage: Stage): Counts {
    const counts = this.#counts.get(stage);
    if (!counts) throw new TandemError("internal", "a table was used before it was compared");
    return counts;
  }

  async #count(stage: Stage): Promise<Counts> {
    const [row] = await this.#tx.query(countChanges(stage));
    return {
      inserts: Number(row?.inserts),
      updates: Number(row?.updates),
      extra: Number(row?.extra),
      lines: Number(row?.lines),
    };
  }

  #refused(stage: Stage, why: string): TandemError {
    const table = `${stage.table.schema}.${stage.table.name}`;
    return new TandemError("restore_refused", `${table}: ${why}; nothing was changed`, { table });
  }
}
