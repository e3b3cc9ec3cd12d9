import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { TandemError } from "../base/errors.ts";
import { seal, unseal } from "./seal.ts";

const column = z.object({
  name: z.string(),
  /** As `format_type` writes it, with its schema where it is not PostgreSQL's own. */
  type: z.string(),
  notNull: z.boolean(),
  /** `a`: GENERATED ALWAYS, `d`: BY DEFAULT, empty: no identity column. */
  identity: z.enum(["", "a", "d"]),
});

const table = z.object({
  schema: z.string(),
  name: z.string(),
  /** The file of its rows, relative to the backup. */
  file: z.string(),
  rows: z.number(),
  /** See `ContentHash`; equal for equal rows in whatever order. */
  hash: z.string(),
  /** Those that are stored; generated ones follow from them. */
  columns: z.array(column),
  /** Of the primary key, else of a unique not-null index; empty for none. */
  key: z.array(z.string()),
  /** The partitions that hold the rows, as the dump names them; empty for an ordinary table. */
  leaves: z.array(z.object({ schema: z.string(), name: z.string() })),
});

const sequence = z.object({
  schema: z.string(),
  name: z.string(),
  /** Exact, also beyond 2^53. */
  lastValue: z.string(),
  isCalled: z.boolean(),
});

const file = z.object({ path: z.string(), bytes: z.number(), sha256: z.string() });

const manifest = z.object({
  format: z.literal(1),
  id: z.string(),
  node: z.string(),
  job: z.string().nullable(),
  label: z.string().nullable(),
  /** `degraded`: the rows are there as JSON, the dump is not. */
  state: z.enum(["complete", "degraded"]),
  reason: z.string().nullable(),
  startedAt: z.string(),
  finishedAt: z.string(),
  server: z.object({
    version: z.number(),
    database: z.string(),
    encoding: z.string(),
    systemIdentifier: z.string().nullable(),
  }),
  /** `pg_current_snapshot()` of the moment that all of it shows. */
  snapshot: z.string(),
  /** The node's identity and change logs at that moment; null where Tandem is not installed. */
  changeLog: z
    .object({
      node: z.string(),
      incarnation: z.string(),
      logs: z.array(z.object({ schema: z.string(), name: z.string(), log: z.string() })),
    })
    .nullable(),
  program: z.string().nullable(),
  tables: z.array(table),
  sequences: z.array(sequence),
  /** What the database holds and the JSON half does not. */
  leftOut: z.array(z.object({ name: z.string(), reason: z.string() })),
  /** What the dump holds and an empty database cannot take; `catalog` and `oid` name its entry in the dump. */
  notRestored: z
    .array(z.object({ name: z.string(), reason: z.string(), catalog: z.string(), oid: z.string() }))
    .default([]),
  /** Schemas that the dump leaves out, and that extensions of the dump are made in. */
  extensionSchemas: z.array(z.string()).default([]),
  /** Functions of schemas that the dump leaves out, and that its tables cannot be made without: their schemas and `CREATE FUNCTION`. */
  providerFunctions: z.array(z.object({ schema: z.string(), definition: z.string() })).default([]),
  /** Roles of the server, for policies name them. */
  roles: z.array(z.string()),
  warnings: z.array(z.string()),
  /** What lay beside the database, by paths relative to the folder of the configuration; null: nothing was asked for. */
  included: z
    .object({ file: z.string(), paths: z.array(z.string()), entries: z.number() })
    .nullable()
    .default(null),
  files: z.array(file),
});

/** What a backup holds; the file is written last, and makes a folder a backup. */
export type Manifest = z.infer<typeof manifest>;
/** One table of a backup. */
export type ManifestTable = z.infer<typeof table>;
/** One file of a backup, besides the manifest. */
export type ManifestFile = z.infer<typeof file>;

/** The file's name within the folder of a backup. */
export const manifestName = "manifest.json";

/** The dump's name within the folder of a backup. */
export const dumpName = "database.dump";

/** The text of the file. */
export function sealManifest(value: Manifest): string {
  return seal(value);
}

/** Reads what `sealManifest` wrote. Any change of any byte is an error with code `backup_damaged`. */
export function unsealManifest(text: string, where: string): Manifest {
  return unseal(text, where, manifest);
}

/** The manifest of the backup in a folder. */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, manifestName);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new TandemError("backup_damaged", `${path} cannot be read (${code})`, { cause: error });
  }
  return unsealManifest(text, path);
}
