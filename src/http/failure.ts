import type { FastifyError } from "fastify";
import { z } from "zod";
import { type ErrorCode, errorCodes } from "../base/error-codes.ts";
import { TandemError } from "../base/errors.ts";

/** What every answer is that is none. */
export const failureDocument = z.strictObject({
  error: z.object({
    code: z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]),
    message: z.string(),
    hint: z.string(),
    node: z.string().optional(),
    link: z.string().optional(),
    table: z.string().optional(),
  }),
});

const statuses: Partial<Record<ErrorCode, number>> = {
  bad_request: 400,
  usage: 400,
  unauthorized: 401,
  token_not_set: 403,
  not_found: 404,
  action_running: 409,
  backup_running: 409,
  link_busy: 409,
  link_paused: 409,
  lock_timeout: 409,
  conflict_not_restored: 409,
  restore_refused: 409,
  too_large: 413,
  host_refused: 421,
  too_many_requests: 429,
  internal: 500,
  cannot_connect: 503,
  connection_lost: 503,
  server_starting: 503,
  too_many_connections: 503,
  server_resources: 503,
  stopped: 503,
  timed_out: 504,
};

/** The status of an answer with this error; what is not named is a trouble of the nodes. */
export function statusOf(error: TandemError): number {
  return statuses[error.code] ?? 502;
}

/** Whatever was thrown, as an error that may be told: never a stack trace, nor the words of an error nobody expected. */
export function asTold(error: unknown): TandemError {
  if (error instanceof TandemError) return error;
  const { statusCode = 500, code = "" } = error as Partial<FastifyError>;
  if ([413, 414, 431].includes(statusCode)) return new TandemError("too_large", "the request is too large");
  if (statusCode === 429) return new TandemError("too_many_requests", "too many requests");
  if (statusCode === 404) return new TandemError("not_found", "there is no such path");
  if (statusCode >= 400 && statusCode < 500)
    return new TandemError("bad_request", reasons[code] ?? "the request is malformed");
  return new TandemError("internal", "the request could not be answered", { cause: error });
}

const reasons: Readonly<Record<string, string>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "the body must be JSON, with the header `Content-Type: application/json`",
  FST_ERR_CTP_INVALID_JSON_BODY: "the body is not JSON",
  FST_ERR_CTP_EMPTY_JSON_BODY: "the body is empty, though it is said to be JSON",
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: "the body is not as long as its Content-Length",
  FST_ERR_BAD_URL: "the path cannot be read",
};

/** The document of an error. */
export function failureOf(error: TandemError): z.infer<typeof failureDocument> {
  const { code, message, hint, node, link, table } = error;
  return { error: { code, message, hint, node, link, table } };
}

/** What a schema found wrong with a part of a request. */
export function malformed(part: string, issues: readonly z.core.$ZodIssue[]): TandemError {
  const faults = issues.map(({ path, message }) => `${[part, ...path.map(String)].join(".")}: ${message}`);
  return new TandemError("bad_request", faults.slice(0, 5).join("; "));
}
