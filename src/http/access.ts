import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { TandemError } from "../base/errors.ts";
import type { HttpConfig } from "../config/config.ts";
import { isLoopback, parseListen } from "../config/listen.ts";
import type { Access } from "./endpoint.ts";

/** Decides who may do what. */
export class Gate {
  readonly #loopback: boolean;
  readonly #hosts: ReadonlySet<string>;
  readonly #token: Buffer | null;

  constructor({ listen, token, hosts }: HttpConfig) {
    this.#loopback = isLoopback(parseListen(listen ?? "")?.host ?? "");
    this.#hosts = new Set(hosts.map((host) => host.toLowerCase()));
    this.#token = token === null ? null : digest(token);
  }

  /**
   * Throws `host_refused` where the `Host` header names somebody else. A page of the web can have its own name lead to this
   * machine, and its requests would then look like those of a page of ours (DNS rebinding).
   */
  checkHost(request: FastifyRequest): void {
    const host = nameOf(request.headers.host);
    if (this.#hosts.has(host) || isLoopback(host)) return;
    // Where everything needs the token, and no names are given, a name opens nothing.
    if (!this.#loopback && this.#hosts.size === 0) return;
    throw new TandemError("host_refused", "this is not the host that the request names");
  }

  /** Whether the request has the token; throws `unauthorized` or `token_not_set` where it needs one. */
  admit(request: FastifyRequest, access: Access): boolean {
    const given = /^bearer +(\S.*)$/i.exec(request.headers.authorization ?? "")?.[1];
    const trusted = this.#token !== null && given !== undefined && timingSafeEqual(digest(given.trim()), this.#token);
    // A wrong token is never the same as none: whoever sends one is to learn of it.
    if (trusted || (request.headers.authorization === undefined && !this.#needsToken(request, access))) return trusted;
    if (this.#token === null) throw new TandemError("token_not_set", "this needs a token, and none is configured");
    throw new TandemError("unauthorized", given === undefined ? "the token is missing" : "the token is wrong");
  }

  #needsToken({ headers }: FastifyRequest, access: Access): boolean {
    if (access !== "read") return access === "token";
    // What a proxy on this machine passes on comes from elsewhere.
    const passedOn = headers.forwarded !== undefined || headers["x-forwarded-for"] !== undefined;
    return !this.#loopback || passedOn || !isLoopback(nameOf(headers.host));
  }
}

/** The host of a `Host` header, without port and brackets. */
function nameOf(header: string | undefined): string {
  const [, inBrackets, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(header ?? "") ?? [];
  return (inBrackets ?? plain ?? "").toLowerCase();
}

/** Digests are equally long, so that comparing them takes equally long. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
