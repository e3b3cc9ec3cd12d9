import { chmod, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EmbeddedServer } from "../../src/embedded/server.ts";
import { skipUnless } from "./components.ts";
import { ownServer } from "./copies.ts";
import { afterTest } from "./pg.ts";
import type { TestServer } from "./servers.ts";

/** A server of the test's own, whose clock is set apart from the machine's. */
export interface SkewedServer {
  readonly server: EmbeddedServer;
  /** The same, for `cluster(n, { servers })`. */
  readonly asTestServer: TestServer;
  /** Sets the clock while the server runs, for all its sessions at once: so many milliseconds ahead of the machine's, never behind. */
  setAhead(ms: number): Promise<void>;
}

/** In milliseconds. */
export const hour = 3_600_000;

/**
 * Starts a server under libfaketime; the test is skipped where that is missing. Pauses and time limits go by the monotonic clock,
 * which stays as it is. The file with the offset is read whenever a clock is asked, so that no session lags behind. A signal
 * that comes while it is read sees the machine's own clock: an earlier one ends no session, a later one would.
 */
export async function skewedServer(aheadMs = 0): Promise<SkewedServer> {
  const library = skipUnless("faketime");
  const folder = await mkdtemp(join(tmpdir(), "tandem-clock-"));
  afterTest(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755); // the server's user reads it
  const file = join(folder, "offset");
  const setAhead = async (ms: number) => {
    if (ms < 0) throw new Error(`a clock ${-ms} ms behind the machine's`);
    const next = `${file}.next`;
    await writeFile(next, `+${ms / 1000}\n`);
    await rename(next, file);
  };
  await setAhead(aheadMs);
  const server = await ownServer({
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      NO_FAKE_STAT: "1",
    },
  });
  const { host, port, major, logFile } = server;
  return { server, asTestServer: { kind: "embedded", major, url: server.url(), host, port, logFile }, setAhead };
}
