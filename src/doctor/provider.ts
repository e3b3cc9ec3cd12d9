import { nodeCheck, ok } from "./check.ts";

const sleepsAfterMs = 300_000;

/** What is worth knowing of a provider's databases. */
interface Provider {
  readonly name: string;
  readonly host: RegExp;
  /** They sleep when idle, and are woken by whoever asks. */
  readonly sleeps: boolean;
}

const providers: readonly Provider[] = [
  { name: "Neon", host: /\.neon\.(tech|build)$/, sleeps: true },
  { name: "Supabase", host: /\.supabase\.(com|co)$/, sleeps: false },
  { name: "Render", host: /\.render\.com$/, sleeps: false },
  { name: "Amazon RDS", host: /\.rds\.amazonaws\.com(\.cn)?$/, sleeps: false },
];

/** The provider of a host, as far as its name tells; null: none that is known. */
export function providerOf(host: string): string | null {
  return find(host)?.name ?? null;
}

function find(host: string): Provider | undefined {
  return providers.find((one) => one.host.test(host.toLowerCase()));
}

/** Sees a database that would sleep when idle, and that Tandem keeps awake. Remedy: a long `sync.interval`. */
export const provider = nodeCheck("provider", "what the providers do is known", async (node, { config }) => {
  const found = find(node.address.name);
  if (!found) return [];
  const { intervalMs } = config.sync;
  if (!found.sleeps || intervalMs > sleepsAfterMs) return [ok(`the database is at ${found.name}`)];
  return [
    ok(
      `the database is at ${found.name}, where it sleeps after five idle minutes: asked every ${intervalMs / 1_000} s it never does, and its hours count; \`sync.interval: 15m\` lets it sleep`,
    ),
  ];
});
