import { nodeCheck, type Observation, ok, warning } from "./check.ts";

const verified = "Add sslmode=verify-full to the URL, with sslrootcert=system or the CA file of the provider.";

/**
 * Sees connections that others could read, or that may end at somebody else. A login bound to the TLS connection proves
 * the server as well as a certificate does. Remedy: `sslmode` of the URL.
 */
export const encryption = nodeCheck(
  "encryption",
  "every connection is encrypted or local",
  async (node): Promise<Observation[]> => {
    const { host } = node.address;
    const { encryption } = node.connection;
    if (isLocal(host)) return [];
    if (encryption === null) {
      return [
        warning(
          `the connection to ${host} is not encrypted: rows travel readable`,
          "Add sslmode=require to the URL, or verify-full; only a private network may go without.",
        ),
      ];
    }
    if (encryption.verified !== "no") return [];
    if (encryption.channelBinding)
      return [ok(`${encryption.protocol}; the certificate is not checked, the login is bound to it`)];
    return [warning(`encrypted, but nobody checks that it is ${host} who answers`, verified)];
  },
);

/** Whether the way to the server leaves this machine, as far as its name tells. */
export function isLocal(host: string): boolean {
  return host.startsWith("/") || /^(localhost|127(\.\d+){3}|::1|::ffff:127(\.\d+){3})$/i.test(host);
}
