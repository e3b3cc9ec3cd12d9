import { type Environment, readLayers } from "./environment.ts";

/** A variable that holds the URL of a PostgreSQL database; never the URL itself. */
export interface FoundVariable {
  readonly name: string;
  /** The file it stands in, or `environment`. */
  readonly from: string;
}

/** What `tandem init` sees in a folder. */
export interface FoundEnvironment {
  readonly variables: readonly FoundVariable[];
}

/** Looks for database URLs in the environment and in the files that Tandem reads. */
export async function findEnvironment(options: { cwd: string; env: Environment }): Promise<FoundEnvironment> {
  const found = new Map<string, string>();
  for (const { from, variables } of await readLayers(options.cwd, options.env)) {
    for (const [name, value] of Object.entries(variables)) {
      if (/^postgres(ql)?:\/\//i.test(value ?? "")) found.set(name, from);
    }
  }
  const variables = [...found].map(([name, from]) => ({ name, from }));
  return { variables: variables.sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

const standard = [
  { node: "local", variable: "DATABASE_URL" },
  { node: "external", variable: "EXTERNAL_DB_URL" },
] as const;

function nodeLines(found: FoundEnvironment): string[] {
  const lines = standard.map(({ node, variable }) => {
    const known = found.variables.find(({ name }) => name === variable);
    const note = known ? `found in ${known.from}` : "not set yet: write it into .env.sync";
    return `  ${`${node}:`.padEnd(9)} { url: "\${${variable}}" }   # ${note}`;
  });
  const others = found.variables.filter(({ name }) => !standard.some(({ variable }) => variable === name));
  const more = others.map(
    ({ name, from }) =>
      `  # ${nodeNameFor(name)}: { url: "\${${name}}" }   # found in ${from}; a further node, if it is one`,
  );
  return [...lines, ...more];
}

function nodeNameFor(variable: string): string {
  const base = variable.toLowerCase().replace(/_?(database|db)?_?(url|uri)$/, "");
  return /^[a-z][a-z0-9_-]{0,29}$/.test(base) ? base : "third";
}

/** The text of a first tandem.yaml. It holds names of variables, never a URL, so that it can be committed. */
export function renderInitialConfig(found: FoundEnvironment): string {
  return `# Configuration of Tandem. \${NAME} is taken from the environment, .env.sync or .env; a literal \${ is written $\${.
nodes:
${nodeLines(found).join("\n")}

# Which nodes are linked, both ways; without it, every one with every other.
# links: [[local, external]]

# Which tables are kept the same; without it, every table with a key that the role of the URL owns.
# tables:
#   - public.*
#   - { name: public.orders, conflict: newest, updated_at: updated_at }
#   - { name: public.prices, conflict: "prefer: local" }
#   - { name: public.stock, triggers: guard }   # its triggers do not fire for what is applied
# exclude: [public.session]

sync:
  interval: 1s          # 15m or more for databases that sleep when idle
  batch_rows: 100000
  max_skew: 5m          # a row stamped further ahead than this waits
  retention: 7d         # how long history is kept
  keep_conflicts: 28d   # and the images of conflicts
  # seed: local         # who wins at a first meeting where rows differ and have no time to decide by
  # sequences: interleave
  # heartbeat: 30s     # times a row of its own over each link, so that an idle one is measured too

# verify: { every: 1d }  # how often the sidecar compares all nodes, slowly; or off

# http: { listen: "127.0.0.1:7420", token: "\${TANDEM_TOKEN}" }   # or listen: off; actions need the token

# backup:
#   dir: backups
#   # store: { bucket: my-backups, prefix: shop, endpoint: "https://s3.example.com", access_key_id: "\${S3_ACCESS_KEY_ID}", secret_access_key: "\${S3_SECRET_ACCESS_KEY}" }
#   # store: { folder: /mnt/other-disk/backups }   # without a store the only copies are on this machine
#   # encrypt: { recipients: [age1...] }              # public keys, as age-keygen prints them; for what lies in the store
#   jobs:
#     - { name: daily, node: local, schedule: "0 3 * * *", keep_days: 30, prove: daily }

# alerts:                 # who is told of what a person must look at; docs/alerts.md has the rules
#   targets:
#     - { name: chat, slack: "\${SLACK_WEBHOOK_URL}" }
#     - { name: mail, email: "\${SMTP_URL}", from: tandem@example.com, to: [ops@example.com] }
#     - { name: dead-man, ping: "\${PING_URL}" }   # as healthchecks.io has it: no ping, and they tell you
`;
}
