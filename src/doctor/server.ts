import { errorCodes } from "../base/error-codes.ts";
import { type Check, type Finding, nodeCheck, type Observation, ok, problem, warning } from "./check.ts";

const newestTested = 18;

/** What a server's version means, as `server_version_num` says it. */
export function versionSeen(version: number): Observation[] {
  const major = Math.floor(version / 10_000);
  if (major > newestTested) {
    return [
      warning(
        `PostgreSQL ${major} is newer than any that this version was tested with (13 to ${newestTested})`,
        "Upgrade pg-tandem, or run `tandem verify` often.",
      ),
    ];
  }
  return [ok(`PostgreSQL ${major}.${version % 10_000}`)];
}

const standby = nodeCheck("server", "", async ({ facts, connection }) => {
  const recovery = problem(
    "the server is in recovery: it is a standby, or is being restored",
    errorCodes.in_recovery.hint,
  );
  return [...versionSeen(connection.serverVersion), ...(facts.inRecovery ? [recovery] : [])];
});

/** Sees servers of a version that is not supported, and standbys. Remedy: another server, or the primary's URL. */
export const server: Check = {
  id: "server",
  title: "every server is of a supported version and takes writes",
  atLeast: 0,
  run: async (context) => {
    const old: Finding[] = context.closed
      .filter(({ error }) => error.code === "unsupported_server")
      .map(({ name, error }) => ({
        check: "server",
        node: name,
        severity: "problem",
        message: error.message.replace(/^node \S+ \([^)]*\): /, ""),
        remedy: errorCodes.unsupported_server.hint,
      }));
    return [...old, ...(await standby.run(context))];
  },
};
