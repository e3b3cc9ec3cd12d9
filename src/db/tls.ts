import { readFile } from "node:fs/promises";
import type { ConnectionOptions } from "node:tls";
import { TandemError } from "../base/errors.ts";
import type { SslFile } from "../config/ssl.ts";
import type { ConnectionTarget } from "../config/url.ts";

/** One try to connect: plain, or with these TLS options. */
export type TlsAttempt = false | ConnectionOptions;

async function read(file: SslFile, parameter: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file.path);
  } catch (error) {
    if (!file.required) return undefined;
    // libpq goes on without verification when sslmode is weak; a file that was named and is not used is a trap.
    throw new TandemError("tls_failed", `the file that ${parameter} names, ${file.path}, cannot be read`, {
      cause: error,
    });
  }
}

async function tlsOptions({ ssl, host, hostAddress }: ConnectionTarget): Promise<ConnectionOptions> {
  const ca = ssl.rootCert === "system" ? undefined : await read(ssl.rootCert, "sslrootcert");
  const verify = ca !== undefined || ssl.mode === "verify-ca" || ssl.mode === "verify-full";
  const cert = await read(ssl.cert, "sslcert");
  const key = cert && (await read(ssl.key, "sslkey"));
  const crl = ssl.crl ? await read(ssl.crl, "sslcrl") : undefined;
  return {
    // Undefined means the authorities of Node: libpq has none of its own and would refuse instead.
    ...(ca && { ca }),
    ...(cert && key && { cert, key }),
    ...(crl && { crl }),
    ...(ssl.keyPassword !== null && { passphrase: ssl.keyPassword }),
    ...(ssl.minVersion && { minVersion: ssl.minVersion }),
    ...(hostAddress && { servername: host }),
    rejectUnauthorized: verify,
    ...(ssl.mode !== "verify-full" && { checkServerIdentity: () => undefined }),
  };
}

/**
 * What to try, in order, with libpq's meaning of `sslmode`. TLS is never used on a unix socket, whatever the mode.
 */
export async function tlsAttempts(target: ConnectionTarget): Promise<readonly TlsAttempt[]> {
  if (target.host.startsWith("/") || target.ssl.mode === "disable") return [false];
  const options = await tlsOptions(target);
  if (target.ssl.mode === "allow") return [false, options];
  return target.ssl.mode === "prefer" ? [options, false] : [options];
}
