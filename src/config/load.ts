import { readFile } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { inspect } from "node:util";
import { alertsOf } from "./alerts.ts";
import type { Config, NodeConfig } from "./config.ts";
import { ConfigError, type ConfigFault } from "./config-error.ts";
import { draftOf } from "./draft.ts";
import { type Environment, mergeLayers, readLayers, standardVariables } from "./environment.ts";
import { allPairs, checkRules } from "./rules.ts";
import type { FileValue, Settings } from "./schema.ts";
import { checkShape, type Places } from "./shape.ts";
import { SourceMap } from "./source-map.ts";
import { encryptOf, storeOf } from "./store.ts";
import { redactUrl } from "./url.ts";

/** What `loadConfig` reads from; nothing else counts. */
export interface LoadOptions {
  /** `--config`: this file must be there. Without it `tandem.yaml` in `cwd`, if there is one. */
  readonly file?: string | undefined;
  /** The content of a file: then none is read, the environment names no node, and `${NAME}` is no reference. */
  readonly settings?: Settings | undefined;
  readonly cwd: string;
  readonly env: Environment;
  /** What the command line sets, by the dotted path of the file: `{ 'sync.batch_rows': 500 }`. Stronger than the file. */
  readonly flags?: Readonly<Record<string, string | number | undefined>> | undefined;
}

/** The name of the file that is looked for in the working folder. */
export const configFileName = "tandem.yaml";

/**
 * The configuration as one frozen object; thrown as one ConfigError with all faults otherwise. With a file the
 * environment counts only where the file names it: a stray DATABASE_URL must not redirect a node.
 */
export async function loadConfig(options: LoadOptions): Promise<Config> {
  const env = mergeLayers(await readLayers(options.cwd, options.env));
  const path = resolve(options.cwd, options.file ?? configFileName);
  const text = options.settings ? null : await readConfigFile(path, options.file !== undefined);
  const source =
    text === null
      ? (settingsSource(options) ?? environmentSource(env))
      : fileSource(options.file ?? basename(path), text, env);
  const { raw, places } = withFlags(source, options.flags ?? {});

  const shaped = checkShape(raw, places);
  const rules = checkRules(draftOf(raw), env, places);
  const faults = tidy([...source.faults, ...shaped.faults, ...rules.faults]);
  if (faults.length === 0 && rules.sameDatabase.length > 0) throw new ConfigError(rules.sameDatabase, "same_database");
  if (!("value" in shaped) || faults.length > 0) throw new ConfigError([...faults, ...rules.sameDatabase]);
  return build(shaped.value, text === null ? null : path, dirname(path));
}

interface Source {
  readonly raw: unknown;
  readonly places: Places;
  readonly faults: readonly ConfigFault[];
}

async function readConfigFile(path: string, required: boolean): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : "";
    if (code === "ENOENT" && !required) return null;
    const reason = code === "ENOENT" ? "there is no such file; `tandem init` writes one" : `cannot be read (${code})`;
    throw new ConfigError([{ place: path, path: "", message: reason }]);
  }
}

function fileSource(name: string, text: string, env: Environment): Source {
  const map = new SourceMap(name, text);
  const faults = map.expand(env);
  return { raw: map.value(), places: map, faults };
}

function settingsSource({ settings, file }: LoadOptions): Source | null {
  if (!settings) return null;
  if (file !== undefined)
    throw new ConfigError([{ place: "", path: "", message: "give settings or a file, not both" }]);
  const places: Places = { placeOf: () => "", placeOfKey: () => "" };
  return { raw: settings, places, faults: [] };
}

function environmentSource(env: Environment): Source {
  const nodes = Object.entries(standardVariables).flatMap(([name, variable]) =>
    env[variable] ? [[name, { url: env[variable] }]] : [],
  );
  if (nodes.length === 0) {
    const message = `there is no ${configFileName}, and neither DATABASE_URL nor EXTERNAL_DB_URL is set; run \`tandem init\``;
    throw new ConfigError([{ place: "", path: "", message }]);
  }
  const placeOf = (path: readonly (string | number)[]) =>
    path[1] === "external" ? standardVariables.external : standardVariables.local;
  return { raw: { nodes: Object.fromEntries(nodes) }, places: { placeOf, placeOfKey: placeOf }, faults: [] };
}

/** Lays the flags over the file; what they set has the command line for its place. */
function withFlags(source: Source, flags: Readonly<Record<string, string | number | undefined>>) {
  const set = Object.entries(flags).filter(([, value]) => value !== undefined);
  if (set.length === 0) return source;
  const raw = structuredClone(source.raw ?? {}) as Record<string, unknown>;
  for (const [flag, value] of set) {
    const [section = "", key] = flag.split(".");
    const inner = raw[section];
    if (key === undefined) raw[section] = value;
    else raw[section] = { ...(typeof inner === "object" ? inner : {}), [key]: value };
  }
  const fromFlag = (path: readonly (string | number)[]) => set.some(([flag]) => flag === path.join("."));
  const places: Places = {
    placeOf: (path) => (fromFlag(path) ? "command line" : source.places.placeOf(path)),
    placeOfKey: (path, key) => (fromFlag([...path, key]) ? "command line" : source.places.placeOfKey(path, key)),
  };
  return { raw, places };
}

/**
 * In the order of the file. Of several faults at one path the first says it all: a variable that is not set leaves
 * a text that breaks every later check.
 */
function tidy(faults: readonly ConfigFault[]): ConfigFault[] {
  return faults
    .filter((fault, index) => fault.path === "" || faults.findIndex(({ path }) => path === fault.path) === index)
    .sort((a, b) => a.place.localeCompare(b.place, "en", { numeric: true }));
}

const proofPeriods = { daily: 86_400_000, weekly: 7 * 86_400_000, off: null };

function build(value: FileValue, file: string | null, folder: string): Config {
  const { sync, verify, http, backup, alerts } = value;
  return freeze({
    file,
    nodes: Object.entries(value.nodes).map(([name, { url }]) => protect({ name, url })),
    links: (value.links ?? allPairs(Object.keys(value.nodes))).flatMap(([a, b]) => [
      { source: a, target: b },
      { source: b, target: a },
    ]),
    tables:
      value.tables?.map((rule) => ({
        name: rule.name,
        conflict: rule.conflict ?? "newest",
        updatedAt: rule.updated_at ?? null,
        triggers: rule.triggers,
      })) ?? null,
    exclude: value.exclude,
    sync: {
      intervalMs: sync.interval,
      batchRows: sync.batch_rows,
      maxSkewMs: sync.max_skew,
      retentionMs: sync.retention,
      keepConflictsMs: sync.keep_conflicts,
      seed: sync.seed ?? null,
      sequences: sync.sequences,
      heartbeatMs: sync.heartbeat === "off" ? null : sync.heartbeat,
      verifyEveryMs: verify.every === "off" ? null : verify.every,
    },
    http: { listen: http.listen === "off" ? null : http.listen, token: http.token ?? null, hosts: http.hosts },
    backup: {
      dir: resolve(folder, backup.dir),
      pgBin: backup.pg_bin === undefined ? null : resolve(folder, backup.pg_bin),
      compress: backup.compress,
      scratch: backup.scratch ?? null,
      timeZone: backup.time_zone,
      store: storeOf(backup, folder),
      encrypt: encryptOf(backup, folder),
      include: backup.include,
      includeRoot: folder,
      includeSecrets: backup.include_secrets,
      jobs: backup.jobs.map((job) => ({
        name: job.name,
        node: job.node,
        schedule: job.schedule ?? null,
        afterChange: job.after_change ?? null,
        keepLast: job.keep_last ?? null,
        keepDays: job.keep_days ?? null,
        keepDaily: job.keep_daily ?? null,
        keepWeekly: job.keep_weekly ?? null,
        keepMonthly: job.keep_monthly ?? null,
        include: job.include ?? null,
        proveEveryMs: proofPeriods[job.prove],
      })),
    },
    alerts: alertsOf(alerts),
  });
}

/** Keeps the password out of JSON and of inspected objects, and so out of logs that were given a node by mistake. */
function protect(node: NodeConfig): NodeConfig {
  const hidden = { value: () => ({ name: node.name, url: redactUrl(node.url) }) };
  return Object.defineProperties(node, { toJSON: hidden, [inspect.custom]: hidden });
}

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) freeze(inner);
  }
  return value;
}
