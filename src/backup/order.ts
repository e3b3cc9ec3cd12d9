import { TandemError } from "../base/errors.ts";
import type { BackupJob, Config, NodeConfig } from "../config/config.ts";

/** A job or a node as a person names it. */
export interface OrderNames {
  readonly job?: string | undefined;
  readonly node?: string | undefined;
}

/** What is to be backed up, and in whose name. */
export interface Order {
  readonly node: NodeConfig;
  readonly job: BackupJob | null;
}

/** Which node and job are meant. Throws `usage` when that is not clear. */
export function orderOf(config: Config, { job, node }: OrderNames): Order {
  const { jobs } = config.backup;
  const names = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name).join(", ");
  if (job !== undefined && node !== undefined) throw new TandemError("usage", "--job has a node of its own");
  const byName = (name: string) => {
    const found = config.nodes.find((one) => one.name === name);
    if (!found)
      throw new TandemError("usage", `there is no node ${name}`, { hint: `Name one of ${names(config.nodes)}.` });
    return found;
  };
  if (node !== undefined) return { node: byName(node), job: null };
  if (job !== undefined || jobs.length === 1) {
    const found = jobs.find(({ name }) => job === undefined || name === job);
    if (!found)
      throw new TandemError("usage", `there is no job ${job}`, {
        hint: `Name one of ${names(jobs) || "the nodes by --node"}.`,
      });
    return { node: byName(found.node), job: found };
  }
  if (jobs.length > 1)
    throw new TandemError("usage", "there are several jobs", { hint: `Name one by --job: ${names(jobs)}.` });
  const [only, ...others] = config.nodes;
  if (only && others.length === 0) return { node: only, job: null };
  throw new TandemError("usage", "there are several nodes and no job", {
    hint: `Name one by --node: ${names(config.nodes)}.`,
  });
}
