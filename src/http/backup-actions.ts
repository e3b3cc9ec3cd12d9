import { z } from "zod";
import { createBackup } from "../backup/create.ts";
import { orderOf } from "../backup/order.ts";
import { restoreBackup } from "../backup/restore.ts";
import { verifyBackup } from "../backup/verify.ts";
import { TandemError } from "../base/errors.ts";
import type { Config } from "../config/config.ts";
import { chosenNodes } from "../install/nodes.ts";
import { answerRun, nodeName, runForm, runningForm, waitQuery } from "./action-kit.ts";
import { backupEntry, failure } from "./answers.ts";
import { type Endpoint, endpoint } from "./endpoint.ts";

const label = z.string().min(1).max(100);
const backupId = z.strictObject({ id: z.string().min(1).max(40).describe("A backup's name, or `latest`.") });

const proof = z.strictObject({
  id: z.string(),
  asked: z.int(),
  reached: z.int().nullable(),
  at: z.string(),
  error: failure.nullable(),
});

const restored = z.looseObject({
  id: z.string(),
  node: z.string(),
  mode: z.enum(["merge", "exact"]),
  dryRun: z.boolean(),
  safety: z
    .string()
    .nullable()
    .describe("The backup that was made before; null in a dry run, and where nothing was to be changed."),
  tables: z.array(z.looseObject({})),
});

/** What people can have done with backups. */
export const backupActions: readonly Endpoint[] = [
  endpoint({
    method: "POST",
    path: "/api/backup/create",
    aliases: ["/backup"],
    access: "token",
    summary: "Make a backup now, of a job or of a node.",
    query: waitQuery,
    body: z.strictObject({ job: z.string().min(1).optional(), node: nodeName, label: label.optional() }),
    answer: runForm(backupEntry),
    later: runningForm,
    handle: (input, context) =>
      answerRun(input, context, {
        action: "backup create",
        subject: input.body.job ?? input.body.node,
        node: orderOf(context.config, input.body).node.name,
        work: () => createBackup(context.config, { ...input.body, logger: context.logger, signal: context.signal }),
      }),
  }),
  endpoint({
    method: "POST",
    path: "/api/backup/emergency",
    aliases: ["/api/backup/emergencial"],
    access: "token",
    summary:
      "Make a backup now, in line behind one that is being made: of one node, else of all that have jobs, else of all.",
    query: waitQuery,
    body: z.strictObject({ node: nodeName }),
    answer: runForm(z.strictObject({ backups: z.array(backupEntry) })),
    later: runningForm,
    handle(input, context) {
      const { config, logger, signal } = context;
      const nodes = emergencyNodes(config, input.body.node);
      return answerRun(input, context, {
        action: "backup emergency",
        subject: input.body.node,
        // Whoever asks while one is made asks for one that shows what there is now.
        inLine: true,
        behind: ({ action, node }) => action === "backup create" && nodes.includes(node),
        async work() {
          const backups = [];
          for (const node of nodes) {
            backups.push(await createBackup(config, { node, label: "emergency", wait: true, logger, signal }));
          }
          return { backups };
        },
      });
    },
  }),
  endpoint({
    method: "POST",
    path: "/api/backups/:id/verify",
    access: "token",
    summary: "Prove a backup: 0 sealed, 1 readable, 2 restored for a try, 3 equal in content.",
    params: backupId,
    query: waitQuery,
    body: z.strictObject({ level: z.union([z.literal(0), z.literal(1), z.literal(2), z.literal(3)]).default(3) }),
    answer: runForm(proof),
    later: runningForm,
    handle: (input, context) =>
      answerRun(input, context, {
        action: "backup verify",
        subject: input.params.id,
        work: () => verifyBackup(context.config, input.params.id, { ...input.body, signal: context.signal }),
      }),
  }),
  endpoint({
    method: "POST",
    path: "/api/backups/:id/restore",
    access: "token",
    summary: "Put the rows of a backup back, after a backup of what is there; first with `dryRun`.",
    params: backupId,
    query: waitQuery,
    body: z.strictObject({
      mode: z.enum(["merge", "exact"]).describe("merge keeps rows that the backup does not have, exact removes them."),
      confirm: z
        .string()
        .optional()
        .describe("The backup's name once more, as a person has typed it; not for a dry run."),
      dryRun: z.boolean().default(false),
      node: nodeName,
      tables: z.array(z.string().min(1)).min(1).max(1_000).optional(),
      localOnly: z.boolean().default(false),
      from: z.enum(["json", "dump"]).optional(),
    }),
    answer: runForm(restored),
    later: runningForm,
    handle(input, context) {
      const { confirm, ...options } = input.body;
      const { id } = input.params;
      if (!options.dryRun && confirm !== id) {
        throw new TandemError("bad_request", `body.confirm must be ${id}: the name of the backup, typed once more`);
      }
      return answerRun(input, context, {
        action: options.dryRun ? "backup restore, dry run" : "backup restore",
        subject: id,
        node: options.node,
        work: () => restoreBackup(context.config, id, { ...options, logger: context.logger, signal: context.signal }),
      });
    },
  }),
];

/** In an emergency nobody is asked which. */
function emergencyNodes(config: Config, node: string | undefined): string[] {
  if (node !== undefined || config.backup.jobs.length === 0) return chosenNodes(config, node).map(({ name }) => name);
  return [...new Set(config.backup.jobs.map((job) => job.node))];
}
