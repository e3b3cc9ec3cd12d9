import { randomUUID } from "node:crypto";
import { errorLine, TandemError } from "../base/errors.ts";
import type { Clock } from "../base/time.ts";
import type { Config } from "../config/config.ts";
import type { AlertEvent } from "./event.ts";
import { send } from "./send.ts";

/** What one target said to a test. */
export interface TargetAnswer {
  readonly target: string;
  readonly kind: string;
  readonly ok: boolean;
  /** What it answered, or why it was not told. */
  readonly answer: string;
}

/** How a test is sent. */
export interface TryOptions {
  readonly clock: Clock;
  readonly sender: string;
  /** Only this one. */
  readonly target?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Tells each target, at the same time, that this is a test. Throws `usage` where there is none, or none of that name. */
export async function tryTargets(config: Config, options: TryOptions): Promise<TargetAnswer[]> {
  const { clock, sender, target: only, signal } = options;
  const { targets } = config.alerts;
  const chosen = targets.filter(({ name }) => only === undefined || name === only);
  if (targets.length === 0) throw new TandemError("usage", "the configuration names no target (`alerts.targets`)");
  if (chosen.length === 0) {
    const names = targets.map(({ name }) => name).join(", ");
    throw new TandemError("not_found", `there is no target "${only}"; there are ${names}`);
  }
  const at = new Date(clock.now()).toISOString();
  const event: AlertEvent = {
    ...{ id: randomUUID(), what: "test", alert: "test", rule: "test", subject: "", since: at, at },
    message: `This is a test of ${sender}: alerts arrive here`,
    remedy: "There is nothing to do.",
  };
  return await Promise.all(
    chosen.map(async (target) => {
      const { name, kind } = target;
      try {
        return { target: name, kind, ok: true, answer: await send(target, [event], { clock, sender, signal }) };
      } catch (error) {
        if (signal?.aborted) throw new TandemError("stopped", "stopped by a signal", { cause: error });
        const answer = error instanceof TandemError ? error.message : errorLine(error);
        return { target: name, kind, ok: false, answer };
      }
    }),
  );
}
