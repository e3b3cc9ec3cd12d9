import { errorLine, TandemError } from "../base/errors.ts";
import { defineCommand, type ExitCode, type Session } from "./command.ts";
import { printable } from "./text.ts";

/** Options of `tandem backup`, and the actions that know them. */
const known: Readonly<Record<string, readonly string[]>> = {
  create: ["job", "node", "label", "require", "wait", "pg-bin"],
  list: [],
  verify: ["level", "pg-bin", "scratch"],
  prune: ["job", "dry-run"],
};

/** Backups: made, listed, proven, pruned. */
export const backup = defineCommand({
  usage: "backup <action> [id]",
  summary: "create a backup, list what there is, verify one, prune",
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
  },
  async run(args, session) {
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

async function create(args: CreateArgs, { loadConfig, signal, stderr, answer }: Session): Promise<ExitCode> {
  const config = await loadConfig();
  const { createBackup } = await import("../backup/create.ts");
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
    answer(entry, describeMade(entry));
    return entry.state === "complete" ? 0 : 1;
  } finally {
    progress.stop();
  }
}

interface VerifyArgs {
  readonly id?: string | undefined;
  readonly level?: number | undefined;
  readonly "pg-bin"?: string | undefined;
  readonly scratch?: string | undefined;
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
    signal,
    onProgress: stderr.isTTY ? (step) => void stderr.write(`\u001b[2K\r${printable(step)}`) : undefined,
  });
  if (stderr.isTTY) stderr.write("\u001b[2K\r");
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

async function list({ loadConfig, answer }: Session): Promise<ExitCode> {
  const config = await loadConfig();
  const { listBackups } = await import("../backup/list.ts");
  const { describeList } = await import("./backup-text.ts");
  const found = await listBackups(config.backup.dir);
  answer(found, describeList(found));
  return found.backups.some(({ state }) => state === "damaged") ? 1 : 0;
}
