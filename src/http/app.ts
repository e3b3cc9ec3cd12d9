import type { Socket } from "node:net";
import helmet from "@fastify/helmet";
import rateLimit from "@fastify/rate-limit";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { errorLine, TandemError } from "../base/errors.ts";
import { Gate } from "./access.ts";
import type { HttpContext } from "./context.ts";
import { endpoints } from "./endpoints.ts";
import { asTold, failureOf, statusOf } from "./failure.ts";
import { Flood, rawAnswer } from "./flood.ts";
import { describeApi, schemaOf, validatorOf } from "./openapi.ts";

// Of one address. A page that is open asks for less than a tenth of it.
const requestsPerMinute = 600;
const largestBody = 64 * 1024;
const mostConnections = 256;
// As long as a request may take to come: who does not read holds a connection, and what was answered, no longer.
const longestReadMs = 15_000;
const longestRequestMs = 15_000;

const serverOptions = {
  // Who sends slowly holds nobody up.
  requestTimeout: longestRequestMs,
  keepAliveTimeout: longestRequestMs,
  // So that also who names no host gets an answer of ours, and who sends slowly does not wait half a minute more for it.
  // Headers have a limit of their own, which would be a minute.
  requireHostHeader: false,
  headersTimeout: 10_000,
  connectionsCheckingInterval: 2_000,
};

/** The whole interface, not listening yet. */
export async function buildApp(context: HttpContext): Promise<FastifyInstance> {
  const flood = new Flood({ now: () => performance.now(), onRefused: () => context.metrics.refused() });
  const app = fastify({
    bodyLimit: largestBody,
    forceCloseConnections: true,
    serverFactory: (handler) => flood.server(serverOptions, handler),
    routerOptions: { maxParamLength: 200 },
    clientErrorHandler(error, socket) {
      if (!flood.take(socket as Socket)) socket.destroy();
      else if (socket.writable) socket.end(rawFailure(error));
    },
    frameworkErrors: (error, _, reply) => tell(asTold(error), reply as FastifyReply),
  });
  app.server.maxConnections = mostConnections;
  const gate = new Gate(context.config.http);
  const trusted = new WeakSet<FastifyRequest>();

  app.setValidatorCompiler(validatorOf);
  // What is not in the schema of an answer is found by the tests, not left out silently.
  // fastify sends bytes as well; its type knows texts only.
  app.setSerializerCompiler(() => (value) => context.shared.write(value) as string);
  app.setErrorHandler((error, request, reply) => {
    const told = asTold(error);
    if (told.code === "internal")
      context.logger.error({ path: request.routeOptions.url }, errorLine(told.cause ?? told));
    tell(told, reply);
  });
  app.addHook("onRequest", async (request, reply) => {
    reply.header("cache-control", "no-store");
    gate.checkHost(request);
  });
  app.addHook("onSend", async (_, reply) => {
    const { raw } = reply;
    const cut = setTimeout(() => raw.destroy(), longestReadMs);
    raw.once("close", () => clearTimeout(cut));
  });
  app.addHook("onResponse", async (request, reply) => {
    context.metrics.request(request.method, request.routeOptions.url, reply.statusCode);
  });
  await app.register(helmet, { contentSecurityPolicy: { useDefaults: false, directives: pagePolicy }, hsts: false });
  await app.register(rateLimit, {
    max: requestsPerMinute,
    timeWindow: 60_000,
    errorResponseBuilder: () => new TandemError("too_many_requests", "too many requests from this address"),
  });
  app.setNotFoundHandler({ preHandler: app.rateLimit() }, () => {
    throw new TandemError("not_found", "there is no such path");
  });
  await describeApi(app, context.version);

  for (const endpoint of endpoints) {
    for (const [index, url] of [endpoint.path, ...endpoint.aliases].entries()) {
      app.route({
        method: endpoint.method,
        url,
        schema: schemaOf(endpoint, index > 0),
        // After the limit of requests, before a body is read.
        async preParsing(request) {
          if (gate.admit(request, endpoint.access)) trusted.add(request);
        },
        handler: (request, reply) => {
          const { params, query, body } = request;
          return endpoint.handle({ params, query, body, trusted: trusted.has(request), request, reply }, context);
        },
      });
    }
  }
  return app;
}

function tell(error: TandemError, reply: FastifyReply): void {
  reply.code(statusOf(error)).send(failureOf(error));
}

/** For the page: nothing but what comes from here. */
const pagePolicy = {
  "default-src": ["'none'"],
  "script-src": ["'self'"],
  "style-src": ["'self'"],
  "img-src": ["'self'", "data:"],
  "font-src": ["'self'"],
  "connect-src": ["'self'"],
  "base-uri": ["'none'"],
  "form-action": ["'none'"],
  "frame-ancestors": ["'none'"],
};

/** The answer to what is not even HTTP, as bytes. */
function rawFailure(error: NodeJS.ErrnoException): string {
  const large = error.code === "HPE_HEADER_OVERFLOW";
  const late = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
  const told = large
    ? new TandemError("too_large", "the request is too large")
    : new TandemError("bad_request", late ? "the request came too slowly" : "this is not HTTP");
  const status = large ? "431 Request Header Fields Too Large" : late ? "408 Request Timeout" : "400 Bad Request";
  return rawAnswer(status, told);
}
