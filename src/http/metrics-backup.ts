import { Gauge, Registry } from "prom-client";
import { backupOverview, type JobOverview } from "../backup/overview.ts";
import { TandemError } from "../base/errors.ts";
import type { HttpContext } from "./context.ts";
import { seconds } from "./metrics-nodes.ts";

const jobGauges: readonly (readonly [name: string, help: string, read: (job: JobOverview) => number | null])[] = [
  [
    "last_success_timestamp_seconds",
    "The moment that the newest good backup of a job shows.",
    ({ last }) => seconds(last?.startedAt ?? null),
  ],
  [
    "last_verified_timestamp_seconds",
    "When a backup of the job was proven (level 3) last.",
    ({ provenAt }) => seconds(provenAt),
  ],
  [
    "last_failure_timestamp_seconds",
    "When a backup of the job failed, since the newest good one.",
    ({ failure }) => seconds(failure?.failedAt ?? null),
  ],
  [
    "last_duration_seconds",
    "How long the newest good backup took.",
    ({ last }) => (last?.finishedAt ? (seconds(last.finishedAt) ?? 0) - (seconds(last.startedAt) ?? 0) : null),
  ],
  ["last_size_bytes", "How large the newest good backup is.", ({ last }) => last?.bytes ?? null],
  ["last_level", "How far the newest good backup is proven, 0 to 3.", ({ last }) => last?.level ?? null],
  ["next_run_timestamp_seconds", "When the schedule asks for the next one.", ({ nextRunAt }) => seconds(nextRunAt)],
  ["unproven", "1: proofs are asked for, and the newest is too old.", ({ unproven }) => (unproven ? 1 : 0)],
  [
    "stale",
    "1: the newest good backup is older than the schedule allows, or there is none.",
    ({ stale }) => (stale ? 1 : 0),
  ],
];

/** How the backups are, by the folder of this machine. */
export async function backupMetrics({ shared, config, clock }: HttpContext): Promise<string> {
  const overview = await shared
    .get("backup status", () => backupOverview(config, clock))
    .catch((error: unknown) => {
      // Of a folder that cannot be read nothing is known: `tandem_problems` tells.
      if (error instanceof TandemError && error.code === "backup_storage") return null;
      throw error;
    });
  if (overview === null) return "";
  const { jobs, counts, disk, unsealed } = overview;
  const registry = new Registry();
  const registers = [registry];
  for (const [name, help, read] of jobGauges) {
    const gauge = new Gauge({ name: `tandem_backup_${name}`, help, labelNames: ["job", "node"], registers });
    for (const job of jobs) {
      const value = read(job);
      if (value !== null) gauge.set({ job: job.job, node: job.node }, value);
    }
  }
  const byState = new Gauge({
    name: "tandem_backup_backups",
    help: "Backups in the folder, by state.",
    labelNames: ["state"],
    registers,
  });
  for (const state of ["complete", "degraded", "damaged"] as const) byState.set({ state }, counts[state]);
  new Gauge({ name: "tandem_backup_unsealed", help: "Being made, or left behind.", registers }).set(unsealed.length);
  if (disk) {
    const bytes = (name: string, help: string, value: number) => new Gauge({ name, help, registers }).set(value);
    bytes("tandem_backup_storage_used_bytes", "What the backups take.", disk.usedBytes);
    bytes("tandem_backup_storage_free_bytes", "What is free where they lie.", disk.freeBytes);
  }
  return await registry.metrics();
}
