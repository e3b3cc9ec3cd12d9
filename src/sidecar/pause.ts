import { TandemError } from "../base/errors.ts";
import type { Config, LinkConfig } from "../config/config.ts";
import { askNodes, writing } from "./ask-nodes.ts";
import type { Happening } from "./history.ts";

/** What pausing or resuming a link did. */
export interface PauseReport extends LinkConfig {
  readonly paused: boolean;
  /** False: it was so already. */
  readonly changed: boolean;
}

/** Who wants it, and in whose name it is kept. */
export interface PauseOptions {
  readonly by: string;
  readonly signal?: AbortSignal | undefined;
}

/** The configured link of these two nodes; throws `not_found`. */
export function linkOf(config: Config, source: string, target: string): LinkConfig {
  const link = config.links.find((one) => one.source === source && one.target === target);
  if (link) return link;
  const names = config.links.map((one) => `${one.source}:${one.target}`).join(", ");
  throw new TandemError("not_found", `there is no link ${source}:${target}`, { hint: `Name one of ${names}.` });
}

/**
 * Lets a link rest after the batch in hand, or work again. It is kept in the target, so that it holds for every sidecar and every
 * `tandem sync`, also after they were started anew; what waits stays at the source.
 */
export async function setPaused(
  config: Config,
  { source, target }: LinkConfig,
  paused: boolean,
  { by, signal }: PauseOptions,
): Promise<PauseReport> {
  const happening: Omit<Happening, "at"> = {
    kind: paused ? "link_paused" : "link_resumed",
    source,
    target,
    message: paused ? "rests until it is resumed" : "works again",
    actor: by,
  };
  const { answers, unanswered } = await askNodes(
    config,
    (connection) =>
      writing(connection, async (tx) => {
        const [row] = paused
          ? await tx.query("select tandem.pause_link($1, $2)::text as changed", [source, by])
          : await tx.query("select tandem.resume_link($1)::text as changed", [source]);
        const changed = row?.changed === "true";
        const activity = [{ ...happening, at: new Date().toISOString() }];
        if (changed) await tx.query("select tandem.note_history($1::jsonb)", [JSON.stringify({ activity })]);
        return changed;
      }),
    { only: [target], signal },
  );
  const [answer] = answers;
  if (!answer) throw unanswered[0]?.error ?? new TandemError("internal", `node ${target} was not asked`);
  return { source, target, paused, changed: answer.answer };
}
