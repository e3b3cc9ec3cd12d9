import { Gauge, Registry } from "prom-client";
import { alertRules } from "../alert/event.ts";
import { firingAlerts } from "../sidecar/alert-store.ts";
import { alertList } from "./answers.ts";
import type { HttpContext } from "./context.ts";
import { type Endpoint, endpoint } from "./endpoint.ts";

/** Without a target nobody is told of anything, and nobody ends what was told when there was one. */
async function sharedAlerts({ shared, config, live, signal }: HttpContext): ReturnType<typeof firingAlerts> {
  if (config.alerts.targets.length === 0) return { alerts: [], unanswered: [] };
  // Who tells knows best, also while no node can be asked.
  if (live.alerts !== null) return { alerts: live.alerts, unanswered: [] };
  return await shared.get("alerts", () => firingAlerts(config, signal));
}

/** What people are told of at this moment. */
export const alertsEndpoint: Endpoint = endpoint({
  method: "GET",
  path: "/api/alerts",
  access: "read",
  summary: "What people are told of at this moment, as `tandem alerts` shows it.",
  answer: alertList,
  handle: (_, context) => sharedAlerts(context),
});

/** How much people are told of; nothing while another sidecar tells them and no node can be asked. */
export async function alertMetrics(context: HttpContext): Promise<string> {
  const { alerts, unanswered } = await sharedAlerts(context);
  if (unanswered.length === context.config.nodes.length) return "";
  const registry = new Registry();
  const firing = new Gauge({
    name: "tandem_alerts_firing",
    help: "What people are told of, by its rule.",
    labelNames: ["rule"],
    registers: [registry],
  });
  for (const rule of alertRules) firing.set({ rule }, alerts.filter((alert) => alert.rule === rule).length);
  return await registry.metrics();
}
