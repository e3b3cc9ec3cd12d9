import { TandemError } from "../base/errors.ts";
import { defineCommand, type ExitCode, type Session } from "./command.ts";

/** Options of `tandem backup`, and the actions that know them. */
const known: Readonly<Record<string, readonly string[]>> = {
  create: ["job", "node", "label", "require", "wait", "pg-bin"],
  list: [],
};

/** Backups: made, listed. */
export const backup = defineCommand({
  usage: "backup <action>",
  summary: "create a backup, or list what there is",
  positionals: {
    action: { type: "string", choices: Object.keys(known), describe: "what is to be done" },
  },
  options: {
    job: { type: "string", requiresArg: true, describe: "create: the job of the configuration (the only one)" },
    node: { type: "string", requiresArg: true, describe: "create: the node, for a backup that belongs to no job" },
    label: { type: "string", requiresArg: true, describe: "create: a word to know it by; `emergency` stands in line" },
    require: { type: "string", choices: ["dump"], describe: "create: fail rather than go without pg_dump" },
    wait: { type: "boolean", describe: "create: stand in line behind one that is being made" },
    "pg-bin": { type: "string", requiresArg: true, describe: "create: the folder of pg_dump and pg_restore" },
  },
  async run(args, session) {
    const action = args.action ?? "";
    for (const name of Object.values(known).flat()) {
      if (name in args && !known[action]?.includes(name)) {
        throw new TandemError("usage", `--${name} does not belong to \`tandem backup ${action}\``);
      }
    }
    return await (action === "create" ? create(args, session) : list(session));
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

async function list({ loadConfig, answer }: Session): Promise<ExitCode> {
  const config = await loadConfig();
  const { listBackups } = await import("../backup/list.ts");
  const { describeList } = await import("./backup-text.ts");
  const found = await listBackups(config.backup.dir);
  answer(found, describeList(found));
  return found.backups.some(({ state }) => state === "damaged") ? 1 : 0;
}
