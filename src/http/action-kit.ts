import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { failure } from "./answers.ts";
import type { HttpContext } from "./context.ts";
import type { Order, Run } from "./runs.ts";

/** `?wait=` of what may take long. */
export const waitQuery = z.strictObject({
  wait: z.coerce
    .number<string>()
    .min(0)
    .max(600)
    .default(30)
    .describe("Seconds until the answer comes, with status 202, though the work is not done."),
});

/** The node meant, where a name or id alone does not tell. */
export const nodeName = z.string().min(1).max(30).optional();

/** A run, with a result of this form. */
export function runForm(result: z.ZodType) {
  return z.strictObject({
    id: z.string(),
    action: z.string(),
    subject: z.string(),
    state: z.enum(["running", "done", "failed"]),
    startedAt: z.string(),
    finishedAt: z.string().nullable(),
    result: result.nullable(),
    error: failure.nullable(),
  });
}

/** What is answered while the work goes on. */
export const runningForm = runForm(z.unknown());

/** In whose name something is done. */
export const asker = ({ ip }: FastifyRequest): string => `HTTP, ${ip}`;

interface LongWork extends Pick<Order, "action" | "inLine" | "behind" | "work"> {
  readonly subject?: string | undefined;
  readonly node?: string | undefined;
}

/** Does what may take long; the status is 202 where it is not done in time. */
export async function answerRun(
  {
    query,
    request,
    reply,
  }: { readonly query: { readonly wait: number }; readonly request: FastifyRequest; readonly reply: FastifyReply },
  context: HttpContext,
  { subject = "", node, ...work }: LongWork,
): Promise<Run> {
  const order = {
    ...work,
    subject,
    node: node ?? context.config.nodes[0]?.name ?? "",
    by: asker(request),
  };
  const run = await context.runs.start(context, order, query.wait * 1_000);
  if (run.state === "running") reply.code(202);
  return run;
}
