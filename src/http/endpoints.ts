import { actionEndpoints } from "./actions.ts";
import { alertsEndpoint } from "./alerts.ts";
import { backupActions } from "./backup-actions.ts";
import { backupEndpoints } from "./backups.ts";
import type { Endpoint } from "./endpoint.ts";
import { eventsEndpoint } from "./events.ts";
import { healthEndpoints } from "./health.ts";
import { listEndpoints } from "./lists.ts";
import { metricsEndpoint } from "./metrics.ts";
import { pageEndpoints } from "./page.ts";
import { statusEndpoints } from "./status.ts";

/** All that can be asked for. */
export const endpoints: readonly Endpoint[] = [
  ...pageEndpoints,
  ...healthEndpoints,
  ...statusEndpoints,
  ...listEndpoints,
  alertsEndpoint,
  ...backupEndpoints,
  ...actionEndpoints,
  ...backupActions,
  eventsEndpoint,
  metricsEndpoint,
];
