import swagger from "@fastify/swagger";
import type { FastifyInstance, FastifySchema } from "fastify";
import type { FastifySchemaCompiler } from "fastify/types/schema.js";
import { z } from "zod";
import type { Endpoint } from "./endpoint.ts";
import { failureDocument, malformed } from "./failure.ts";

const partNames: Readonly<Record<string, string>> = { querystring: "query" };

/** Checks a part of a request by its zod schema; an absent body is an empty one. */
export const validatorOf: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart = "request" }) => {
  return (data: unknown) => {
    const result = schema.safeParse(data ?? {});
    if (result.success) return { value: result.data };
    return { error: malformed(partNames[httpPart] ?? httpPart, result.error.issues) };
  };
};

/** What fastify, and the document, are told of an endpoint. */
export function schemaOf(
  { summary, params, query, body, answer, later, access }: Endpoint,
  hide: boolean,
): FastifySchema {
  return {
    hide: hide || answer === null,
    summary,
    ...(params && { params }),
    ...(query && { querystring: query }),
    ...(body && { body }),
    ...(answer && {
      response: { 200: answer, ...(later && { 202: later }), default: failureDocument },
    }),
    security: access === "open" ? [] : access === "token" ? [{ token: [] }] : [{}, { token: [] }],
  } as FastifySchema;
}

/** Makes the document of what is registered after this; `app.swagger()` is it. */
export async function describeApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Tandem", version, description: "What a running sidecar shows and does." },
      components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
    },
    transform: ({ schema, url }) => ({ schema: asJsonSchemas(schema), url }),
  });
}

function asJsonSchemas(schema: FastifySchema): FastifySchema {
  const { params, querystring, body, response, ...rest } = schema as Record<string, unknown>;
  const answers = Object.entries((response ?? {}) as Record<string, z.ZodType>).map(([status, type]) => [
    status,
    { description: status === "default" ? "What went wrong." : "The answer.", ...asJsonSchema(type, "output") },
  ]);
  return {
    ...rest,
    ...(params !== undefined && { params: asJsonSchema(params, "input") }),
    ...(querystring !== undefined && { querystring: asJsonSchema(querystring, "input") }),
    ...(body !== undefined && { body: asJsonSchema(body, "input") }),
    ...(answers.length > 0 && { response: Object.fromEntries(answers) }),
  } as FastifySchema;
}

function asJsonSchema(type: unknown, io: "input" | "output"): object {
  const { $schema: _, ...schema } = z.toJSONSchema(type as z.ZodType, { io, unrepresentable: "any" });
  return schema;
}
