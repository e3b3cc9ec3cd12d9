import { type AlertRecord, Board } from "../alert/board.ts";
import type { Config } from "../config/config.ts";
import { quoteLiteral } from "../db/quote.ts";
import { askNodes, reading, type Unanswered, writing } from "./ask-nodes.ts";

const keptAlerts = "select coalesce(jsonb_agg(to_jsonb(a)), '[]')::text as answer from tandem.alert a";

/** What the nodes that answer keep of the alerts. */
export async function loadAlerts(config: Config, signal: AbortSignal): Promise<AlertRecord[]> {
  return (await askAlerts(config, signal)).records;
}

async function askAlerts(config: Config, signal: AbortSignal | undefined) {
  const { answers, unanswered } = await askNodes(
    config,
    (connection) => reading(connection, async (tx) => (await tx.query(keptAlerts))[0]?.answer ?? "[]"),
    { signal },
  );
  const iso = (text: string) => new Date(text).toISOString();
  const records = answers.flatMap(({ answer }) =>
    (JSON.parse(answer) as AlertRecord[]).map((record) => ({
      ...record,
      since: iso(record.since),
      event_at: iso(record.event_at),
      changed_at: iso(record.changed_at),
    })),
  );
  return { records, unanswered };
}

/** Keeps them in these nodes; returns those that did not take it. */
export async function saveAlerts(
  config: Config,
  records: readonly AlertRecord[],
  options: { readonly only: readonly string[]; readonly signal: AbortSignal },
): Promise<string[]> {
  const call = `select tandem.keep_alerts(${quoteLiteral(JSON.stringify(records))}::jsonb)`;
  const { unanswered } = await askNodes(config, (connection) => writing(connection, (tx) => tx.query(call)), options);
  return unanswered.map(({ node }) => node);
}

/** Something that people are told of. */
export type FiringAlert = Pick<AlertRecord, "rule" | "subject" | "since" | "message" | "remedy">;

/** What people are told of at this moment, as the nodes that answer keep it, and as who asks knows itself. */
export async function firingAlerts(
  config: Config,
  { signal, own = [] }: { readonly signal?: AbortSignal; readonly own?: readonly AlertRecord[] },
): Promise<{ readonly alerts: readonly FiringAlert[]; readonly unanswered: readonly Unanswered[] }> {
  const { records, unanswered } = await askAlerts(config, signal);
  const alerts = new Board([...records, ...own]).firing.map(({ rule, subject, since, message, remedy }) => {
    return { rule, subject, since, message, remedy };
  });
  return { alerts, unanswered };
}
