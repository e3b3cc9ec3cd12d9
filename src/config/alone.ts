import type { Config } from "./config.ts";
import { ConfigError } from "./config-error.ts";
import { standardVariables } from "./environment.ts";

/** Throws `config_invalid` unless there are two nodes: one alone has nothing to be kept the same with. */
export function assertSeveral(config: Config): void {
  const [node, other] = config.nodes;
  if (!node || other) return;
  const absent = Object.entries(standardVariables).find(([name]) => name !== node.name)?.[1] ?? "";
  const message = `node ${node.name} is the only one: there is none to keep it the same with`;
  throw new ConfigError([
    config.file === null
      ? { place: absent, path: "", message: `is not set, and ${message}` }
      : { place: config.file, path: "nodes", message },
  ]);
}
