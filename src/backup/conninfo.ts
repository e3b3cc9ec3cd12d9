import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TandemError } from "../base/errors.ts";
import { registerSecret } from "../base/scrub.ts";
import type { Environment } from "../config/environment.ts";
import type { ConnectionTarget } from "../config/url.ts";
import { privateFile } from "./files.ts";

/** How a client program of PostgreSQL is told where to connect. */
export interface ProgramLogin extends AsyncDisposable {
  readonly env: NodeJS.ProcessEnv;
  /** Writes another file for the program beside them; returns its path. */
  file(name: string, text: string): Promise<string>;
}

/** The name that stands for the connection: `--dbname=service=tandem`. */
export const serviceName = "tandem";

/**
 * The environment of client programs without what the person who runs us has set for their own databases, and with
 * messages that do not depend on their language.
 */
export function programEnvironment(env: Environment = process.env): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !/^(PG|LC_|LANG)/.test(name));
  return { ...Object.fromEntries(kept), LC_ALL: "C" };
}

/**
 * Writes the connection into files that only we can read, in a folder of their own: neither the command line nor the
 * environment of a program hides anything from other users. Disposing of it removes them.
 */
export async function loginFor(target: ConnectionTarget, programMajor: number): Promise<ProgramLogin> {
  registerSecret(target.password);
  const folder = await mkdtemp(join(tmpdir(), "tandem-login-"));
  const dispose = () => rm(folder, { recursive: true, force: true });
  try {
    const [service, passwords] = [join(folder, "service.conf"), join(folder, "passwords")];
    const lines = Object.entries(parametersOf(target, programMajor)).map(([name, value]) => `${name}=${line(value)}`);
    await writeFile(service, `[${serviceName}]\n${lines.join("\n")}\n`, { mode: privateFile });
    const password = line(target.password ?? "").replace(/[\\:]/g, "\\$&");
    await writeFile(passwords, `*:*:*:*:${password}\n`, { mode: privateFile });
    const env = { ...programEnvironment(), PGSERVICEFILE: service, PGPASSFILE: passwords };
    const file = async (name: string, text: string) => {
      await writeFile(join(folder, name), text, { mode: privateFile });
      return join(folder, name);
    };
    return { env, file, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function line(text: string): string {
  if (/[\r\n\0]/.test(text)) throw new TandemError("config_invalid", "a value of the URL holds a line break");
  return text;
}

function parametersOf(target: ConnectionTarget, programMajor: number): Record<string, string> {
  const { ssl } = target;
  const optional = {
    hostaddr: target.hostAddress,
    options: target.options,
    sslcrl: ssl.crl?.path,
    sslpassword: ssl.keyPassword,
    ssl_min_protocol_version: ssl.minVersion,
    sslcert: ssl.cert.required ? ssl.cert.path : null,
    sslkey: ssl.key.required ? ssl.key.path : null,
    sslrootcert:
      ssl.rootCert === "system" ? systemAuthorities(programMajor) : ssl.rootCert.required ? ssl.rootCert.path : null,
    sslnegotiation: ssl.negotiation === "direct" && programMajor >= 17 ? "direct" : null,
  };
  return {
    host: target.host,
    port: String(target.port),
    dbname: target.database,
    user: target.user,
    sslmode: ssl.mode,
    channel_binding: target.channelBinding,
    connect_timeout: String(Math.ceil((target.connectTimeoutMs ?? 20_000) / 1000)),
    application_name: "tandem/backup pg_dump",
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value)),
  } as Record<string, string>;
}

/** The word `system` is known to libpq from 16; before that a file is needed. */
function systemAuthorities(programMajor: number): string {
  if (programMajor >= 16) return "system";
  const bundles = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
  const bundle = bundles.find((path) => existsSync(path));
  if (bundle !== undefined) return bundle;
  throw new TandemError("no_client_program", "sslrootcert=system needs pg_dump 16 or later on this machine");
}
