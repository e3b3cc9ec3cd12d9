import { scrub } from "../base/scrub.ts";
import type { Config, NodeConfig } from "../config/config.ts";
import type { Environment } from "../config/environment.ts";
import type { NodeReport, SchemaCopy } from "./report.ts";

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/**
 * How a shell names the node without its password being printed: by the environment variable that holds the URL, else
 * by the URL without its password.
 */
export function shellUrl({ url }: NodeConfig, env: Environment): string {
  const variable = Object.keys(env)
    .filter((name) => env[name] === url && /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    .sort()[0];
  if (variable !== undefined) return `"$${variable}"`;
  const without = url
    .replace(/^([a-z][a-z0-9+.-]*:\/\/[^\s:@/?#]*):.*@/i, "$1@")
    .replace(/([?&])(?:ssl)?password=[^&]*&?/gi, "$1")
    .replace(/[?&]$/, "");
  return quoted(scrub(without));
}

/**
 * The line for each node that holds no table to track while another one does. The dump of a tracked database names
 * its capture triggers, which the other side makes for itself: grep takes them out.
 */
export function schemaCopies(config: Config, reports: readonly NodeReport[], env: Environment): SchemaCopy[] {
  const full = reports.find(({ tables }) => tables.some(isThere));
  if (!full) return [];
  const url = (name: string) => {
    const node = config.nodes.find((each) => each.name === name);
    return node ? shellUrl(node, env) : "";
  };
  return reports
    .filter(({ tables }) => !tables.some(isThere))
    .map(({ node }) => ({
      from: full.node,
      to: node,
      command: [
        `pg_dump -s --no-owner --no-privileges -N tandem -N tandem_log ${url(full.node)}`,
        `grep -Ev '(EXECUTE FUNCTION tandem_log\\.|ENABLE ALWAYS TRIGGER "?~?tandem_)'`,
        `psql -qX -o /dev/null -v ON_ERROR_STOP=1 ${url(node)}`,
      ].join(" | "),
    }));
}

function isThere({ outcome }: NodeReport["tables"][number]): boolean {
  return outcome === "armed" || outcome === "unchanged" || outcome === "kept";
}
