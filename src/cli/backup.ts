import { errorLine, TandemError } from "../base/errors.ts";
import { keepHeapSmall } from "../base/small-heap.ts";
import type { Config } from "../config/config.ts";
import { defineCommand, type ExitCode, type Session } from "./command.ts";
import { hasColours, printable } from "./text.ts";

/** Options of `tandem backup`, and the actions that know them. */
const known: Readonly<Record<string, readonly string[]>> = {
  create: ["job", "node", "label", "require", "wait", "pg-bin"],
  list: [],
  verify: ["level", "pg-bin", "scratch", "from-store", "identity"],
  upload: [],
  prune: ["job", "dry-run"],
};

/** Backups: made, listed, proven, brought to the store, pruned. */
export const backup = defineCommand({
  usage: "backup <action> [id]",
  summary: "create a backup, list what there is, verify one, upload to the store, prune",
  positionals: {
    action: { type: "string", choices: Object.keys(known), describe: "what is to be done" },
    id: { type: "string", describe: "verify: the backup, or `latest`" },
  },
  options: {
    job: { type: "string", requiresArg: true, describe: "create, prune: the job of the configuration" },
    node: { type: "string", requiresArg: true, describe: "create: the node, for a backup that belongs to no job" },
    label: { type: "string", requiresArg: true, describe: "create: a word to know it by; `emergency` stands in line" },
    require: { type: "string", choices: ["dump"], describe: "create: fail rather than go without pg_dump" },
    wait: { type: "boolean", describe: "create: stand in line behind one that is being made" },
    "pg-bin": { type: "string", requiresArg: true, describe: "create, verify: the folder of pg_dump and pg_restore" },
    "dry-run": { type: "boolean", describe: "prune: print what would be removed, and why the rest stays" },
    level: {
      type: "number",
      requiresArg: true,
      describe: "verify: 0 sealed, 1 readable, 2 restored for a try, 3 equal in content (3)",
    },
    scratch: { type: "string", requiresArg: true, describe: "verify: URL of a server to restore on, for a try" },
    "from-store": { type: "boolean", describe: "verify: the copy in the store, though there may be one here" },
    identity: { type: "string", requiresArg: true, describe: "verify: the file of the private key of age" },
  },
  async run(args, session) {
    keepHeapSmall();
    const action = args.action ?? "";
    for (const name of Object.values(known).flat()) {
      if (name in args && !known[action]?.includes(name)) {
        throw new TandemError("usage", `--${name} does not belong to \`tandem backup ${action}\``);
      }
    }
    if (args.id !== undefined && action !== "verify") {
      throw new TandemError("usage", `\`tandem backup ${action}\` takes no backup`);
    }
    if (action === "create") return await create(args, session);
    if (action === "upload") return await upload(session);
    if (action === "prune") return await prune(args.job, args["dry-run"] === true, session);
    return await (action === "verify" ? prove(args, session) : list(session));
  },
});

interface CreateArgs {
  readonly job?: string | undefined;
  readonly node?: string | undefined;
  readonly label?: string | undefined;
  readonly require?: string | undefined;
  readonly wait?: boolean | undefined;
  readonly "pg-bin"?: string | undefined;
}

async function create(args: CreateArgs, session: Session): Promise<ExitCode> {
  const { loadConfig, signal, stderr, answer } = session;
  const config = await loadConfig();
  const { createBackup } = await import("../backup/create.ts");
  const { knownStore } = await import("../backup/store-state.ts");
  const { describeMade } = await import("./backup-text.ts");
  const { startBackupProgress } = await import("./backup-progress.ts");
  const progress = startBackupProgress(stderr);
  try {
    const entry = await createBackup(config, {
      job: args.job,
      node: args.node,
      label: args.label,
      requireDump: args.require === "dump",
      wait: args.wait === true || args.label === "emergency",
      pgBin: args["pg-bin"],
      signal,
      onProgress: progress.show,
    });
    progress.stop();
    const failed = await bringToStore(config, session);
    const made =
      failed === null && config.backup.store ? { ...entry, places: [...entry.places, "store" as const] } : entry;
    answer(made, describeMade(made, await knownStore(config)));
    return made.state === "complete" && failed === null ? 0 : 1;
  } finally {
    progress.stop();
  }
}

/** A backup that could not be brought to the store is one all the same; that it was not is told. */
async function bringToStore(config: Config, { signal, stderr }: Session): Promise<unknown> {
  if (config.backup.store === null) return null;
  const { uploadBackups } = await import("../backup/upload.ts");
  try {
    await uploadBackups(config, { signal, onProgress: progressOn(stderr) });
    return null;
  } catch (error) {
    stderr.write(`${errorLine(error)}\n`);
    return error;
  } finally {
    clearProgress(stderr);
  }
}

async function upload({ loadConfig, signal, stderr, answer }: Session): Promise<ExitCode> {
  const config = await loadConfig();
  const { uploadBackups } = await import("../backup/upload.ts");
  const { describeUpload } = await import("./backup-text.ts");
  try {
    const report = await uploadBackups(config, { signal, onProgress: progressOn(stderr) });
    clearProgress(stderr);
    answer(report, describeUpload(report));
    return 0;
  } finally {
    clearProgress(stderr);
  }
}

function progressOn(stderr: NodeJS.WriteStream): ((step: string) => void) | undefined {
  return stderr.isTTY ? (step) => void stderr.write(`\u001b[2K\r${printable(step)}`) : undefined;
}

function clearProgress(stderr: NodeJS.WriteStream): void {
  if (stderr.isTTY) stderr.write("\u001b[2K\r");
}

interface VerifyArgs {
  readonly id?: string | undefined;
  readonly level?: number | undefined;
  readonly "pg-bin"?: string | undefined;
  readonly scratch?: string | undefined;
  readonly "from-store"?: boolean | undefined;
  readonly identity?: string | undefined;
}

async function prove(args: VerifyArgs, { loadConfig, signal, stderr, answer }: Session): Promise<ExitCode> {
  const level = ([0, 1, 2, 3] as const).find((one) => one === (args.level ?? 3));
  if (level === undefined) throw new TandemError("usage", "--level must be 0, 1, 2 or 3");
  if (args.id === undefined) throw new TandemError("usage", "name a backup, or `latest`");
  const config = await loadConfig();
  const { verifyBackup } = await import("../backup/verify.ts");
  const { describeProof } = await import("./backup-text.ts");
  const { id, scratch } = args;
  const proof = await verifyBackup(config, id, {
    level,
    pgBin: args["pg-bin"],
    scratch,
    fromStore: args["from-store"],
    identity: args.identity,
    signal,
    onProgress: progressOn(stderr),
  });
  clearProgress(stderr);
  if (proof.error) stderr.write(`${errorLine(proof.error)}\n`);
  answer(proof, describeProof(proof));
  return proof.error === null ? 0 : 1;
}

async function prune(job: string | undefined, dryRun: boolean, session: Session): Promise<ExitCode> {
  const config = await session.loadConfig();
  if (job !== undefined && !config.backup.jobs.some(({ name }) => name === job)) {
    throw new TandemError("usage", `there is no job ${job}`);
  }
  const { pruneBackups } = await import("../backup/prune.ts");
  const { describePrune } = await import("./backup-text.ts");
  const report = await pruneBackups(config, { job, dryRun });
  for (const { id, error } of report.stuck) session.stderr.write(`${id}: ${error}\n`);
  session.answer(report, describePrune(report));
  return report.stuck.length === 0 ? 0 : 1;
}

async function list({ loadConfig, signal, stdout, env, answer }: Session): Promise<ExitCode> {
  const config = await loadConfig();
  const { listWithStore } = await import("../backup/store-state.ts");
  const { describeList } = await import("./backup-text.ts");
  const found = await listWithStore(config, { signal });
  answer(found, describeList(found, hasColours(stdout, env)));
  return found.backups.some(({ state }) => state === "damaged") || found.store?.unasked ? 1 : 0;
}
