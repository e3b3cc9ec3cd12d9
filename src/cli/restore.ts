import { resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import type { BackupRestoreReport } from "../backup/restore.ts";
import { TandemError } from "../base/errors.ts";
import { keepHeapSmall } from "../base/small-heap.ts";
import type { Config } from "../config/config.ts";
import { defineCommand, type ExitCode, type Session } from "./command.ts";
import { hasColours, printable } from "./text.ts";

interface Args {
  readonly id: string;
  readonly node?: string | undefined;
  readonly mode: "merge" | "exact";
  readonly tables?: readonly string[] | undefined;
  readonly localOnly: boolean;
  readonly from?: "json" | "dump" | undefined;
  readonly pgBin?: string | undefined;
  readonly fromStore?: boolean | undefined;
  readonly identity?: string | undefined;
}

/** Puts rows back, or makes a new database of a backup; without a name it lists what there is. */
export const restore = defineCommand({
  usage: "restore [id]",
  summary: "put the rows of a backup back; without a name, list what there is",
  positionals: { id: { type: "string", describe: "the backup, or `latest`" } },
  options: {
    node: { type: "string", requiresArg: true, describe: "where to (the node that was backed up)" },
    mode: {
      type: "string",
      choices: ["merge", "exact"],
      describe: "merge keeps rows that the backup does not have, exact removes them",
    },
    tables: { type: "string", array: true, requiresArg: true, describe: "only these tables: perfis, crm.*" },
    "dry-run": { type: "boolean", describe: "print what would be done, and change no row" },
    yes: { type: "boolean", describe: "do not ask" },
    "local-only": { type: "boolean", describe: "the restored rows do not travel to the other nodes" },
    from: { type: "string", choices: ["json", "dump"], describe: "the half that the rows are taken from (json)" },
    files: { type: "boolean", describe: "put the included files back, and no rows" },
    to: {
      type: "string",
      requiresArg: true,
      describe: "with --files: the folder to put them into (each to its place)",
    },
    "new-database": {
      type: "string",
      requiresArg: true,
      describe: "make this database, with definitions and rows of the dump",
    },
    "from-store": { type: "boolean", describe: "the copy in the store, though there may be one here" },
    identity: { type: "string", requiresArg: true, describe: "the file of the private key of age" },
    "pg-bin": { type: "string", requiresArg: true, describe: "the folder of pg_dump and pg_restore" },
  },
  async run(args, session) {
    keepHeapSmall();
    const { id, node, mode, "new-database": database, "pg-bin": pgBin } = args;
    const copy = { fromStore: args["from-store"], identity: args.identity };
    const config = await session.loadConfig();
    if (id === undefined) return await list(config, session);
    if (args.to !== undefined && !args.files) throw new TandemError("usage", "--to goes with --files only");
    if (args.files) {
      const others = ["node", "mode", "tables", "local-only", "from", "new-database", "pg-bin"] as const;
      const other = others.find((name) => name in args);
      if (other) throw new TandemError("usage", `--${other} does not go with --files`);
      return await files(
        config,
        { id, to: args.to, dryRun: args["dry-run"] === true, yes: args.yes === true, ...copy },
        session,
      );
    }
    if (database !== undefined) {
      if (
        mode !== undefined ||
        args.tables !== undefined ||
        args["dry-run"] ||
        args["local-only"] ||
        args.from !== undefined
      ) {
        throw new TandemError(
          "usage",
          "--new-database goes with --node, --yes, --pg-bin, --from-store and --identity only",
        );
      }
      return await makeDatabase(config, { id, database, node, pgBin, ...copy }, session);
    }
    if (mode === undefined) {
      throw new TandemError("usage", "say --mode merge or --mode exact", {
        hint: "merge keeps rows that the backup does not have; exact removes them. --dry-run shows what either would do.",
      });
    }
    const given = {
      id,
      node,
      mode: mode as Args["mode"],
      tables: args.tables,
      localOnly: args["local-only"] === true,
      from: args.from as Args["from"],
      pgBin,
      ...copy,
    };
    if (args["dry-run"]) return answer(config, await work(config, given, true, session), session);
    if (!args.yes) await ask(config, given, session);
    return answer(config, await work(config, given, false, session), session);
  },
});

async function list(config: Config, { signal, stdout, env, answer }: Session): Promise<ExitCode> {
  const { listWithStore } = await import("../backup/store-state.ts");
  const { describeList } = await import("./backup-text.ts");
  const found = await listWithStore(config, { signal });
  answer(found, describeList(found, hasColours(stdout, env)));
  return 0;
}

function progressOf({ stderr }: Session): ((step: string) => void) | undefined {
  return stderr.isTTY ? (step) => void stderr.write(`\u001b[2K\r${printable(step)}`) : undefined;
}

interface FilesArgs extends Pick<Args, "id" | "fromStore" | "identity"> {
  readonly to: string | undefined;
  readonly dryRun: boolean;
  readonly yes: boolean;
}

/** Into a folder that is named nobody needs to be asked. */
async function files(config: Config, { id, to, dryRun, yes, ...copy }: FilesArgs, session: Session): Promise<ExitCode> {
  const { restoreFiles } = await import("../backup/restore-files.ts");
  const { describeRestoredFiles } = await import("./backup-text.ts");
  const put = (dry: boolean) =>
    restoreFiles(config, id, {
      to: to === undefined ? undefined : resolve(session.cwd, to),
      dryRun: dry,
      ...copy,
      signal: session.signal,
      onProgress: progressOf(session),
    });
  if (!dryRun && !yes && to === undefined) await confirm(async () => describeRestoredFiles(await put(true)), session);
  const done = await put(dryRun);
  if (session.stderr.isTTY) session.stderr.write("\u001b[2K\r");
  session.answer(done, describeRestoredFiles(done));
  return 0;
}

interface NewDatabaseArgs extends Pick<Args, "id" | "node" | "pgBin" | "fromStore" | "identity"> {
  readonly database: string;
}

async function makeDatabase(
  config: Config,
  { id, database, ...options }: NewDatabaseArgs,
  session: Session,
): Promise<ExitCode> {
  const { restoreNewDatabase } = await import("../backup/restore-new.ts");
  const { describeNewDatabase } = await import("./backup-text.ts");
  const made = await restoreNewDatabase(config, id, database, {
    ...options,
    signal: session.signal,
    onProgress: progressOf(session),
  });
  session.answer(made, describeNewDatabase(made));
  return 0;
}

async function work(
  config: Config,
  { id, ...options }: Args,
  dryRun: boolean,
  session: Session,
): Promise<BackupRestoreReport> {
  const { restoreBackup } = await import("../backup/restore.ts");
  const report = await restoreBackup(config, id, {
    ...options,
    dryRun,
    signal: session.signal,
    onProgress: progressOf(session),
  });
  if (session.stderr.isTTY) session.stderr.write("\u001b[2K\r");
  return report;
}

async function answer(config: Config, report: BackupRestoreReport, session: Session): Promise<ExitCode> {
  session.answer(report, await described(config, report));
  return 0;
}

async function described({ links }: Config, report: BackupRestoreReport): Promise<string> {
  const { describeRestore } = await import("./backup-text.ts");
  return describeRestore(
    report,
    links.some(({ source }) => source === report.node),
  );
}

/** Shows what would be done, and goes on only after a `yes`. */
async function ask(config: Config, args: Args, session: Session): Promise<void> {
  await confirm(async () => described(config, await work(config, args, true, session)), session);
}

async function confirm(describe: () => Promise<string>, { stdin, stderr, signal, json }: Session): Promise<void> {
  if (!stdin.isTTY || json) {
    throw new TandemError("usage", "nobody can be asked here", { hint: "Look at --dry-run first, then say --yes." });
  }
  stderr.write(`${await describe()}\n`);
  const reader = createInterface({ input: stdin, output: stderr });
  try {
    const word = await reader.question("Type yes to do it: ", { signal });
    if (word.trim() !== "yes") throw new TandemError("stopped", "nothing was changed");
  } finally {
    reader.close();
  }
}
