import { homedir } from "node:os";
import { join } from "node:path";
import { didYouMean } from "./suggest.ts";
import { urlFault } from "./url-syntax.ts";

/** The names libpq gives to its levels of TLS. */
export const sslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;

/** One of `sslModes`. */
export type SslMode = (typeof sslModes)[number];

/** Whether the login must be bound to the TLS connection. */
export type ChannelBinding = "disable" | "prefer" | "require";

/** A file that a URL names (it must exist) or that libpq would look for in the home folder (it may). */
export interface SslFile {
  readonly path: string;
  readonly required: boolean;
}

/** What a URL says about TLS, with libpq's meaning; files are read when a connection is opened. */
export interface SslConfig {
  readonly mode: SslMode;
  /** `system`: the certificate authorities of Node (its own, and those of NODE_EXTRA_CA_CERTS). */
  readonly rootCert: SslFile | "system";
  readonly cert: SslFile;
  readonly key: SslFile;
  readonly crl: SslFile | null;
  readonly keyPassword: string | null;
  readonly minVersion: "TLSv1.2" | "TLSv1.3" | null;
  readonly negotiation: "postgres" | "direct";
}

type Parameters = ReadonlyMap<string, string>;

/** A parameter that takes one of a few words. */
export function choice<T extends string>(parameters: Parameters, name: string, words: readonly T[]): T | null {
  const text = parameters.get(name);
  if (!text) return null;
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) throw urlFault(`${name} takes one of ${words.join(", ")}${didYouMean(text, words)}`);
  return word;
}

function file(parameters: Parameters, name: string, standard: string): SslFile {
  const path = parameters.get(name);
  return path ? { path, required: true } : { path: join(homedir(), ".postgresql", standard), required: false };
}

function modeOf(parameters: Parameters, fallback: SslMode): SslMode {
  if (parameters.get("sslmode") === "no-verify") {
    throw urlFault("sslmode=no-verify is known to node-postgres only; write sslmode=require, which means the same");
  }
  // libpq reads the ssl=true of JDBC so.
  const jdbc = parameters.get("ssl") === "true" ? "require" : null;
  return choice(parameters, "sslmode", sslModes) ?? jdbc ?? fallback;
}

/**
 * Reads the TLS parameters. As in libpq: without `sslmode` it is `prefer`; a root certificate, given or in the home
 * folder, makes the weaker modes verify the chain; `sslrootcert=system` goes with `verify-full` alone, since the
 * authorities of the world vouch for any host.
 */
export function parseSsl(parameters: Parameters): SslConfig {
  const system = parameters.get("sslrootcert") === "system";
  const mode = modeOf(parameters, system ? "verify-full" : "prefer");
  if (system && mode !== "verify-full") {
    throw urlFault(`sslrootcert=system needs sslmode=verify-full; ${mode} would trust every certificate of the world`);
  }
  const negotiation = choice(parameters, "sslnegotiation", ["postgres", "direct"] as const) ?? "postgres";
  if (negotiation === "direct" && (mode === "disable" || mode === "allow" || mode === "prefer")) {
    throw urlFault(`sslnegotiation=direct needs sslmode=require or more; it is ${mode}`);
  }
  return {
    mode,
    rootCert: system ? "system" : file(parameters, "sslrootcert", "root.crt"),
    cert: file(parameters, "sslcert", "postgresql.crt"),
    key: file(parameters, "sslkey", "postgresql.key"),
    crl: parameters.get("sslcrl") ? file(parameters, "sslcrl", "") : null,
    keyPassword: parameters.get("sslpassword") || null,
    minVersion: choice(parameters, "ssl_min_protocol_version", ["TLSv1.2", "TLSv1.3"] as const),
    negotiation,
  };
}
