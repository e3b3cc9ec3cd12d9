import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { TandemError } from "../base/errors.ts";
import { type Clock, systemClock } from "../base/time.ts";
import type { Config, TriggerChoice } from "../config/config.ts";
import { installBlocks } from "./install-block.ts";
import { chosenNodes } from "./nodes.ts";
import { readPackage } from "./package-files.ts";
import { trackBlock } from "./track-block.ts";
import { removeBlockPatiently, untrackBlock } from "./uninstall-block.ts";

/** How a migration's file is written, after the last one that is in the folder. */
type Form = "sql" | "ts" | "esm" | "commonjs";

/**
 * Writes what `migrate` does in one node as a node-pg-migrate migration with up and down into the application's own
 * folder; returns the file's path. Prefix and kind follow the migrations that are there.
 */
export async function emitMigration(
  config: Config,
  nodeName: string,
  directory: string,
  { clock = systemClock, triggers }: { clock?: Clock; triggers?: TriggerChoice | undefined } = {},
): Promise<string> {
  chosenNodes(config, nodeName);
  const own = await readPackage();
  await mkdir(directory, { recursive: true });
  const last = lastMigration(await readdir(directory));
  const up = `${installBlocks(config, nodeName, own)}\n\n${trackBlock(config, nodeName, "nothing", triggers)}\n`;
  const down = `${untrackBlock("nothing")}\n\n${removeBlockPatiently("nothing")}\n`;
  const form = await formOf(directory, last);
  const ending = last === undefined || form === "sql" ? ".sql" : extname(last);
  const path = join(directory, `${nextPrefix(last, clock)}_install-tandem${ending}`);
  // Never over a file that is there: two people may do this at once.
  await writeFile(path, write(form, nodeName, own.version, up, down), { flag: "wx" });
  return path;
}

const kinds = [".sql", ".js", ".cjs", ".mjs", ".ts", ".cts", ".mts"];

function prefixOf(name: string): string {
  return /^(\d+)\D/.exec(name)?.[1] ?? "";
}

/** As node-pg-migrate orders them: by prefix as a number, 17 digits being a time in UTC. */
function orderOf(prefix: string): number {
  if (prefix.length !== 17) return Number(prefix);
  const [, y, mo, d, h, mi, s, ms] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d{3})$/.exec(prefix) ?? [];
  return Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}.${ms}Z`);
}

function lastMigration(names: readonly string[]): string | undefined {
  return names
    .filter((name) => !name.endsWith(".d.ts") && kinds.includes(extname(name)) && prefixOf(name) !== "")
    .sort((a, b) => orderOf(prefixOf(a)) - orderOf(prefixOf(b)))
    .at(-1);
}

/** A prefix of the same kind, and later than the last one whatever the clock says. */
function nextPrefix(last: string | undefined, clock: Clock): string {
  const prefix = last === undefined ? "" : prefixOf(last);
  if (prefix === "") return String(clock.now());
  if (prefix.length === 17) {
    return new Date(Math.max(clock.now(), orderOf(prefix) + 1)).toISOString().replace(/\D/g, "");
  }
  if (prefix.length >= 13) return String(Math.max(clock.now(), Number(prefix) + 1));
  return String(Number(prefix) + 1).padStart(prefix.length, "0");
}

async function formOf(directory: string, last: string | undefined): Promise<Form> {
  const ending = last === undefined ? ".sql" : extname(last);
  if (last === undefined || ending === ".sql") return "sql";
  if (ending.endsWith("ts")) return "ts";
  if (ending === ".cjs") return "commonjs";
  if (ending === ".mjs") return "esm";
  return /^\s*export\s/m.test(await readFile(join(directory, last), "utf8")) ? "esm" : "commonjs";
}

function write(form: Form, node: string, version: string, up: string, down: string): string {
  const title = `Tandem ${version}: installs Tandem in node ${node}`;
  if (form === "sql") return sqlFile(title, up, down);
  const half = (name: string, text: string) => `${heads[form](name)} => {
  pgm.sql(${templateLiteral(text)});
};
`;
  return `// ${title}. Written by "tandem migrate --emit".\n${half("up", up)}\n${half("down", down)}`;
}

const heads: Readonly<Record<Exclude<Form, "sql">, (name: string) => string>> = {
  ts: (name) => `export const ${name} = (pgm: { sql(text: string): unknown })`,
  esm: (name) => `export const ${name} = (pgm)`,
  commonjs: (name) => `exports.${name} = (pgm)`,
};

function templateLiteral(text: string): string {
  return `\`${text.replace(/[\\`]|\$(?=\{)/g, "\\$&")}\``;
}

const splits = /^\s*--[\s-]*(?:up|down)\s+migration/im;

/** A line of ours that node-pg-migrate takes for the beginning of a half would cut the file in the wrong place. */
function sqlFile(title: string, up: string, down: string): string {
  if (splits.test(up + down)) throw new TandemError("internal", "the SQL holds a line that node-pg-migrate splits at");
  return `-- ${title}. Written by "tandem migrate --emit".\n-- Up Migration\n\n${up}\n-- Down Migration\n\n${down}`;
}
