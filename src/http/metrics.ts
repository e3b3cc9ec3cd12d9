import { alertMetrics } from "./alerts.ts";
import { type Endpoint, endpoint } from "./endpoint.ts";
import { backupMetrics } from "./metrics-backup.ts";
import { nodeMetrics } from "./metrics-nodes.ts";

/** All metrics, as text. */
export const metricsEndpoint: Endpoint = endpoint({
  method: "GET",
  path: "/metrics",
  access: "read",
  summary: "Metrics for Prometheus.",
  answer: null,
  async handle({ reply }, context) {
    const fromNodes = await context.shared.get("metrics", async () =>
      [await nodeMetrics(context), await alertMetrics(context), await backupMetrics(context)].join(""),
    );
    const { registry } = context.metrics;
    reply.type(registry.contentType);
    return (await registry.metrics()) + fromNodes;
  },
});
