import { TandemError } from "../base/errors.ts";
import type { Config, TriggerChoice } from "../config/config.ts";
import { defineCommand, type ExitCode, type Session } from "./command.ts";

/** Installs or upgrades Tandem and the capture. */
export const migrate = defineCommand({
  usage: "migrate",
  summary: "install or upgrade Tandem and the capture in every node",
  options: {
    node: { type: "string", requiresArg: true, describe: "only this node" },
    sql: { type: "boolean", conflicts: "emit", describe: "print the script for psql and do nothing" },
    emit: {
      type: "string",
      requiresArg: true,
      describe: "write it as a node-pg-migrate migration into this folder and do nothing",
    },
    "guard-triggers": {
      type: "boolean",
      conflicts: "unguard-triggers",
      describe: "keep the application's triggers from firing for what is applied, where the file does not say it",
    },
    "unguard-triggers": { type: "boolean", describe: "take those guards off again" },
  },
  async run({ node, sql, emit, "guard-triggers": guard, "unguard-triggers": unguard }, session) {
    const config = await session.loadConfig();
    const triggers = guard ? "guard" : unguard ? "leave" : undefined;
    if (sql) return await printScript(config, node, triggers, session);
    if (emit !== undefined) return await writeMigration(config, node, emit, triggers, session);
    const { signal, stderr, env } = session;
    const { describeMigration, migrationLine } = await import("./migrate-text.ts");
    const { migrate: install } = await import("../install/migrate.ts");
    const report = await install(config, {
      node,
      signal,
      env,
      triggers,
      onProgress: (event) => {
        const line = migrationLine(event);
        if (line !== null) stderr.write(`${line}\n`);
      },
    });
    session.answer(report, describeMigration(report));
    return report.problems ? 1 : 0;
  },
});

/** A script is of one database; with several nodes it must be said which. */
function onlyNode(config: Config, node: string | undefined): string {
  const [first, ...others] = config.nodes;
  if (node !== undefined) return node;
  if (first && others.length === 0) return first.name;
  throw new TandemError("usage", "a script is for one node", {
    hint: `Add \`--node NAME\`: ${config.nodes.map(({ name }) => name).join(", ")}.`,
  });
}

async function printScript(
  config: Config,
  node: string | undefined,
  triggers: TriggerChoice | undefined,
  { answer }: Session,
): Promise<ExitCode> {
  const name = onlyNode(config, node);
  const { migrationScript } = await import("../install/script.ts");
  const script = await migrationScript(config, name, { triggers });
  answer({ node: name, script }, script);
  return 0;
}

async function writeMigration(
  config: Config,
  node: string | undefined,
  folder: string,
  triggers: TriggerChoice | undefined,
  { answer }: Session,
): Promise<ExitCode> {
  const name = onlyNode(config, node);
  const { emitMigration } = await import("../install/emit.ts");
  const file = await emitMigration(config, name, folder, { triggers });
  answer({ node: name, file }, `${file} is written.`);
  return 0;
}
