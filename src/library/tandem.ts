import { EventEmitter } from "node:events";
import { TandemError } from "../base/errors.ts";
import { type Logger, silentLogger } from "../base/logger.ts";
import type { Config } from "../config/config.ts";
import { type LoadOptions, loadConfig } from "../config/load.ts";
import { type InstallOptions, migrate } from "../install/migrate.ts";
import type { MigrateReport } from "../install/report.ts";
import type { LinkEvent } from "../link/report.ts";
import type { LinkActivity } from "../sidecar/link-loop.ts";
import { Live } from "../sidecar/live.ts";
import { type StatusOptions, type StatusReport, status } from "../sidecar/status.ts";
import { type SyncOptions, type SyncReport, sync } from "../sidecar/sync.ts";
import { runWithHttp } from "./run.ts";

/** Where the configuration comes from; as for the command unless told otherwise. */
export interface OpenOptions extends Partial<LoadOptions> {
  /** Is told what `tandem run` writes to its log; a pino logger fits. Nobody is unless given. */
  readonly logger?: Logger;
}

/** What a Tandem tells, by the name of the event. Listeners run after what they are told of: what they throw stops no link. */
export interface TandemEvents {
  /** A link does something else than before, or has caught up. */
  link: [activity: Readonly<LinkActivity>];
  /** Rows were carried. */
  moved: [event: LinkEvent];
  /** The sidecar has ended: null because it was asked to, else what only a person can mend. */
  stopped: [error: unknown];
}

interface Run {
  readonly controller: AbortController;
  readonly begun: Promise<void>;
  readonly ended: Promise<void>;
}

/**
 * Reads the configuration as the command does (`tandem.yaml`, `.env`, the environment) or from `settings`, and opens no
 * connection. Throws a ConfigError that names all faults.
 */
export async function openTandem({ logger, ...from }: OpenOptions = {}): Promise<Tandem> {
  return new Tandem(await loadConfig({ cwd: process.cwd(), env: process.env, ...from }), logger);
}

/**
 * Tandem inside an application. It handles no signal of the process and ends nothing but itself; commands and sidecars elsewhere
 * may work on the same nodes at the same time.
 */
export class Tandem extends EventEmitter<TandemEvents> implements AsyncDisposable {
  /** For the functions that take a configuration: `verify`, `conflicts`, `createBackup`. */
  readonly config: Config;
  readonly #logger: Logger;
  readonly #live = new Live();
  #run: Run | null = null;

  constructor(config: Config, logger: Logger = silentLogger) {
    super();
    this.config = config;
    this.#logger = logger;
  }

  /** Installs or upgrades Tandem in every node, as `tandem migrate`; repeated, it writes nothing. */
  async migrate(options: InstallOptions = {}): Promise<MigrateReport> {
    return await migrate(this.config, options);
  }

  /** Brings all nodes to one state, as `tandem sync`. What failed or stayed behind is in the report; `signal` ends it with `stopped`. */
  async sync(options: SyncOptions = {}): Promise<SyncReport> {
    return await sync(this.config, options);
  }

  /** How all is, as `tandem status`; a node that does not answer is a problem in the report. */
  async status(options: StatusOptions = {}): Promise<StatusReport> {
    return await status(this.config, options);
  }

  /** What each link does at this moment, as last heard of here; empty before the first start. */
  get links(): readonly Readonly<LinkActivity>[] {
    return this.#live.links;
  }

  /** From the call of `start` until the event `stopped`. */
  get running(): boolean {
    return this.#run !== null;
  }

  /**
   * Starts the sidecar, with its HTTP interface unless the configuration says `off`. Resolves when every link carries rows, has
   * caught up, stands by for another sidecar, is paused, or waits for a server; rejects with what only a person can mend (not
   * installed, wrong password), or with `stopped`. Started already, it answers as the first call did.
   */
  start(): Promise<void> {
    this.#run ??= this.#begin();
    return this.#run.begun;
  }

  /** Ends the sidecar after the batch in hand; resolves when nothing of it is left, neither connection nor timer. */
  async stop(): Promise<void> {
    this.#run?.controller.abort();
    await this.#run?.ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #begin(): Run {
    const controller = new AbortController();
    const waiting = new Set(this.config.links.map(keyOf));
    const { promise: begun, resolve, reject } = withResolvers();
    const settled = (link: { source: string; target: string }) => {
      waiting.delete(keyOf(link));
      if (waiting.size === 0) resolve();
    };
    const work = runWithHttp(this.config, {
      signal: controller.signal,
      logger: this.#logger,
      live: this.#live,
      onEvent: (event) => {
        settled(event);
        this.#tell("moved", event);
      },
      onActivity: (activity) => {
        if (hasBegun(activity)) settled(activity);
        this.#tell("link", { ...activity });
      },
    });
    if (waiting.size === 0) resolve();
    const ended = work.then(
      () => this.#end(null, reject),
      (error: unknown) => this.#end(error, reject),
    );
    return { controller, begun, ended };
  }

  #end(error: unknown, reject: (error: unknown) => void): void {
    reject(error ?? new TandemError("stopped", "stopped before all links had begun"));
    this.#run = null;
    this.#tell("stopped", error);
  }

  /** Later, so that what a listener throws is the application's uncaught exception and not the link's failure. */
  #tell<K extends keyof TandemEvents>(name: K, ...told: TandemEvents[K]): void {
    queueMicrotask(() => (this as EventEmitter).emit(name, ...told));
  }
}

const keyOf = ({ source, target }: { source: string; target: string }) => `${source} ${target}`;

function hasBegun({ state, caughtUpAt }: LinkActivity): boolean {
  return caughtUpAt !== null || ["idle", "standby", "paused", "failing"].includes(state);
}

/** Node 20 has no `Promise.withResolvers`. */
function withResolvers() {
  let resolve: () => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<void>((yes, no) => {
    [resolve, reject] = [yes, no];
  });
  return { promise, resolve, reject };
}
