import { type AlertRecord, Board } from "../alert/board.ts";
import type { Config } from "../config/config.ts";
import { quoteLiteral } from "../db/quote.ts";
import { askNodes, reading, type Unanswered, writing } from "./ask-nodes.ts";

const keptAlerts = "select coalesce(jsonb_agg(to_jsonb(a)), '[]')::text as answer from tandem.alert a";

/** What each node that answers keeps of the alerts. */
export async function loadAlerts(
  config: Config,
  signal: AbortSignal | undefined,
): Promise<{ readonly kept: ReadonlyMap<string, readonly AlertRecord[]>; readonly unanswered: readonly Unanswered[] }> {
  const { answers, unanswered } = await askNodes(
    config,
    (connection) => reading(connection, async (tx) => (await tx.query(keptAlerts))[0]?.answer ?? "[]"),
    { signal },
  );
  const iso = (text: string) => new Date(text).toISOString();
  const kept = answers.map(({ node, answer }) => {
    const records = (JSON.parse(answer) as AlertRecord[]).map((record) => ({
      ...record,
      since: iso(record.since),
      event_at: iso(record.event_at),
      changed_at: iso(record.changed_at),
    }));
    return [node, records] as const;
  });
  return { kept: new Map(kept), unanswered };
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

/** What people see of it. */
export function asFiring(records: readonly AlertRecord[]): readonly FiringAlert[] {
  return records.map(({ rule, subject, since, message, remedy }) => ({ rule, subject, since, message, remedy }));
}

/** What people are told of at this moment, as the nodes that answer keep it. */
export async function firingAlerts(
  config: Config,
  signal?: AbortSignal,
): Promise<{ readonly alerts: readonly FiringAlert[]; readonly unanswered: readonly Unanswered[] }> {
  const { kept, unanswered } = await loadAlerts(config, signal);
  return { alerts: asFiring(new Board([...kept.values()].flat()).firing), unanswered };
}
