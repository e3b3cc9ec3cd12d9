import type { AddressInfo } from "node:net";
import { errorLine, TandemError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { Backoff } from "../base/retry.ts";
import { registerSecret } from "../base/scrub.ts";
import type { Clock } from "../base/time.ts";
import type { Config } from "../config/config.ts";
import { parseListen } from "../config/listen.ts";
import { readPackage } from "../install/package-files.ts";
import type { Live } from "../sidecar/live.ts";
import { buildApp } from "./app.ts";
import { readPage } from "./page-files.ts";
import { ProcessMetrics } from "./process-metrics.ts";
import { Runs } from "./runs.ts";
import { Shared } from "./shared.ts";
import { sharedStatus } from "./status.ts";
import { Streams } from "./streams.ts";

/** What the interface needs. */
export interface HttpOptions {
  readonly live: Live;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborted: it ends, and open requests with it. */
  readonly signal: AbortSignal;
}

/**
 * Serves the HTTP interface until the signal is aborted; nothing where the configuration says `off`. That it cannot listen
 * is told once and tried again: the links go on without it.
 */
export async function serveHttp(config: Config, { live, clock, logger, signal }: HttpOptions): Promise<void> {
  const address = config.http.listen === null ? null : parseListen(config.http.listen);
  if (address === null) return;
  registerSecret(config.http.token);
  const { version } = await readPackage();
  const page = await readPage(logger);
  const metrics = new ProcessMetrics(version, live);
  const shared = new Shared(clock);
  const status = () => sharedStatus({ shared, config, signal });
  const streams = new Streams({ live, status, clock, logger, signal });
  const context = { config, version, page, live, shared, metrics, runs: new Runs(), streams, clock, logger, signal };
  const pauses = new Backoff({ min: 2_000, max: 30_000 });
  for (let told = false; !signal.aborted; told = true) {
    const app = await buildApp(context);
    try {
      await app.listen(address);
      logger.info({ url: urlOf(app.server.address() as AddressInfo) }, "HTTP is there");
      await aborted(signal);
    } catch (error) {
      if (!told) logger.warn({}, errorLine(cannotListen(config.http.listen ?? "", error)));
      await clock.sleep(pauses.next(), signal).catch(() => {});
    } finally {
      await app.close();
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function cannotListen(listen: string, error: unknown): TandemError {
  const { code = "" } = error as NodeJS.ErrnoException;
  const reasons: Record<string, string> = { EADDRINUSE: "another program has the port", EACCES: "it is not allowed" };
  const why = reasons[code] ?? (code === "" ? String(error) : code);
  return new TandemError("http_listen", `cannot listen on ${listen}: ${why}`, { cause: error });
}

function urlOf({ address, port, family }: AddressInfo): string {
  return `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
}
