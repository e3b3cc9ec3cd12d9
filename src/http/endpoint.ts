import type { FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import type { HttpContext } from "./context.ts";

/**
 * Who may: `open` everybody who reaches the address; `read` everybody on this machine, others by the token; `token` only
 * by the token, on this machine too.
 */
export type Access = "open" | "read" | "token";

/** What a request brings, checked. */
export interface Input<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  /** Whether the request had the token. */
  readonly trusted: boolean;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** A request that can be made, as data: the routes and the OpenAPI document are made of these. */
export interface Endpoint {
  readonly method: "GET" | "POST";
  /** As fastify writes it: `/api/links/:id/pause`. */
  readonly path: string;
  /** Older paths that answer too; not in the document. */
  readonly aliases: readonly string[];
  readonly access: Access;
  readonly summary: string;
  readonly params?: z.ZodType | undefined;
  readonly query?: z.ZodType | undefined;
  readonly body?: z.ZodType | undefined;
  /** What is answered with status 200; null: no JSON, the handler writes the answer itself. */
  readonly answer: z.ZodType | null;
  /** What is answered with status 202, where the work may go on after the answer. */
  readonly later?: z.ZodType | undefined;
  handle(input: Input<unknown, unknown, unknown>, context: HttpContext): Promise<unknown>;
}

type Typed<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> = Omit<
  Endpoint,
  "aliases" | "params" | "query" | "body" | "handle"
> & {
  readonly aliases?: readonly string[];
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  handle(input: Input<z.infer<P>, z.infer<Q>, z.infer<B>>, context: HttpContext): Promise<unknown>;
};

/** Ties the types of what a handler is given to the schemas. */
export function endpoint<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(
  typed: Typed<P, Q, B>,
): Endpoint {
  return {
    ...typed,
    aliases: typed.aliases ?? [],
    handle: (input, context) => typed.handle(input as Input<z.infer<P>, z.infer<Q>, z.infer<B>>, context),
  };
}
