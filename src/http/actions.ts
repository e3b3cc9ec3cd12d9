import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { restoreConflict } from "../sidecar/conflicts.ts";
import { dropParked, retryParked } from "../sidecar/parked.ts";
import { linkOf, setPaused } from "../sidecar/pause.ts";
import { type LinkOutcome, sync } from "../sidecar/sync.ts";
import { noteVerification } from "../sidecar/verification.ts";
import { verify } from "../verify/verify.ts";
import { answerRun, asker, nodeName, runForm, runningForm, waitQuery } from "./action-kit.ts";
import { failure, unanswered } from "./answers.ts";
import type { HttpContext } from "./context.ts";
import { type Endpoint, endpoint } from "./endpoint.ts";
import { asTold, failureOf } from "./failure.ts";
import { remember } from "./runs.ts";
import { linkId } from "./status.ts";

const pauseAnswer = z.strictObject({
  id: z.string(),
  source: z.string(),
  target: z.string(),
  paused: z.boolean(),
  changed: z.boolean().describe("False: it was so already."),
});

const syncResult = z.strictObject({
  well: z.boolean(),
  links: z.array(
    z.looseObject({
      source: z.string(),
      target: z.string(),
      batches: z.int(),
      conflicts: z.int(),
      parked: z.int(),
      undecided: z.int(),
      held: z.array(z.strictObject({ table: z.string(), reason: z.string() })),
      tables: z.array(z.looseObject({ schema: z.string(), name: z.string(), applied: z.int() })),
      error: failure.nullable(),
    }),
  ),
});

const verifyResult = z.looseObject({
  identical: z.boolean(),
  asOf: z.string(),
  nodes: z.array(z.string()),
  tables: z.array(z.looseObject({ schema: z.string(), name: z.string(), equal: z.boolean(), differing: z.int() })),
});

const rowId = z.strictObject({ id: z.coerce.number<string>().int().min(1).max(Number.MAX_SAFE_INTEGER) });

/** What people can have done to links and rows. */
export const actionEndpoints: readonly Endpoint[] = [
  pauseEndpoint("pause", "Let a link rest after the batch in hand, until it is resumed, whoever works on it."),
  pauseEndpoint("resume", "Let a link work again; it looks once in an interval."),
  endpoint({
    method: "POST",
    path: "/api/sync",
    access: "token",
    summary: "Bring all nodes to one state, as `tandem sync` does, beside the running links.",
    query: waitQuery,
    body: z.strictObject({}),
    answer: runForm(syncResult),
    later: runningForm,
    handle: (input, context) =>
      answerRun(input, context, {
        action: "sync",
        async work() {
          const { well, links } = await sync(context.config, { signal: context.signal });
          return { well, links: links.map(outcomeOf) };
        },
      }),
  }),
  endpoint({
    method: "POST",
    path: "/api/verify",
    access: "token",
    summary: "Compare all nodes by content, while writes go on.",
    query: waitQuery,
    body: z.strictObject({ tables: z.array(z.string().min(1)).min(1).max(1_000).optional() }),
    answer: runForm(verifyResult),
    later: runningForm,
    handle: (input, context) =>
      answerRun(input, context, { action: "verify", work: () => compare(context, input.body.tables) }),
  }),
  endpoint({
    method: "POST",
    path: "/api/conflicts/:id/restore",
    access: "token",
    summary: "Bring the image that lost a conflict back, as a new change that travels to all.",
    params: z.strictObject({ id: z.string().min(1).max(100) }),
    body: z.strictObject({ node: nodeName }),
    answer: z.strictObject({
      id: z.string(),
      node: z.string(),
      table: z.string(),
      key: z.string(),
      changed: z.boolean(),
      leftOut: z.array(z.string()),
    }),
    async handle({ params: { id }, body: { node }, request }, context) {
      const report = await restoreConflict(context.config, id, { node, signal: context.signal });
      await remember(context, done(`conflict ${id} restored`, report.node, request));
      return report;
    },
  }),
  endpoint({
    method: "POST",
    path: "/api/parked/:id/retry",
    access: "token",
    summary: "Have a parked row tried again by the next round.",
    params: rowId,
    body: z.strictObject({ node: nodeName }),
    answer: z.strictObject({
      nodes: z.array(z.strictObject({ node: z.string(), rows: z.int() })),
      unanswered,
    }),
    async handle({ params: { id }, body: { node } }, { config, signal, shared }) {
      const report = await retryParked(config, id, { node, signal });
      shared.clear();
      return report;
    },
  }),
  endpoint({
    method: "POST",
    path: "/api/parked/:id/drop",
    access: "token",
    summary: "Give a parked row up, with a reason; the nodes differ on it until it changes again.",
    params: rowId,
    body: z.strictObject({ reason: z.string().trim().min(1).max(1_000), node: nodeName }),
    answer: z.strictObject({
      node: z.string(),
      peer: z.string(),
      table: z.string(),
      key: z.string(),
      imageKept: z.boolean(),
    }),
    async handle({ params: { id }, body, request }, context) {
      const report = await dropParked(context.config, id, { ...body, signal: context.signal });
      await remember(context, done(`parked row ${id} dropped: ${body.reason}`, report.node, request));
      return report;
    },
  }),
  endpoint({
    method: "GET",
    path: "/api/actions",
    access: "token",
    summary: "What was asked for since the sidecar began, the newest first, with what is under way.",
    answer: z.strictObject({ actions: z.array(runningForm.omit({ result: true })) }),
    handle: async (_, { runs }) => ({ actions: runs.list().map(({ result: _, ...run }) => run) }),
  }),
  endpoint({
    method: "GET",
    path: "/api/actions/:id",
    access: "token",
    summary: "How an action is that takes long.",
    params: z.strictObject({ id: z.uuid() }),
    answer: runningForm,
    handle: async ({ params: { id } }, { runs }) => runs.find(id),
  }),
];

function pauseEndpoint(action: "pause" | "resume", summary: string): Endpoint {
  return endpoint({
    method: "POST",
    path: `/api/links/:id/${action}`,
    access: "token",
    summary,
    params: z.strictObject({ id: z.string().regex(/^[^:]+:[^:]+$/, { error: "must be SOURCE:TARGET" }) }),
    body: z.strictObject({}),
    answer: pauseAnswer,
    async handle({ params, request }, { config, signal, shared, logger }) {
      const [source = "", target = ""] = params.id.split(":");
      const by = asker(request);
      const report = await setPaused(config, linkOf(config, source, target), action === "pause", { by, signal });
      logger.info({ source, target, by }, report.paused ? "link paused" : "link resumed");
      shared.clear();
      return { id: linkId(report), ...report };
    },
  });
}

function done(message: string, node: string, request: FastifyRequest) {
  return { kind: "action_done", node, by: asker(request), message } as const;
}

function outcomeOf({ report, error, ...link }: LinkOutcome) {
  return {
    ...link,
    batches: report?.batches ?? 0,
    conflicts: report?.conflicts ?? 0,
    tables: [...(report?.tables.values() ?? [])],
    error: error === null ? null : failureOf(asTold(error)).error,
  };
}

async function compare({ config, signal }: HttpContext, tables: readonly string[] | undefined) {
  const report = await verify(config, { tables, keyLimit: 100, signal });
  if (tables === undefined) await noteVerification(config, report, { signal });
  return report;
}
