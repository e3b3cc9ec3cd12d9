import { inspect } from "node:util";
import { z } from "zod";
import type { AlertConfig, AlertTarget } from "./config.ts";
import { atLeastOrOff, duration, mailAddress, secretHttpUrl, smtpUrl, wholeNumber } from "./fields.ts";

const minute = 60_000;
const hour = 60 * minute;

const time = z.union([z.literal("off"), duration], { error: "must be a time such as 5m, or off" });
const percentWords = "must be a percentage from 1 to 99, or off";
const percent = z.union([z.literal("off"), wholeNumber(1).refine((value) => value < 100, { error: percentWords })], {
  error: percentWords,
});
const flag = z.enum(["on", "off"]).default("on");

const rules = z.strictObject({
  link_down: time.default(2 * minute),
  lag: time.default(15 * minute),
  parked: time.default(5 * minute),
  conflicts_per_hour: z
    .union([z.literal("off"), wholeNumber(1)], { error: "must be a whole number from 1, or off" })
    .default(100),
  clock_skew: time.default(minute),
  log_growing: time.default(24 * hour),
  shrunk: percent.default(50),
  disk_low: percent.default(10),
  held: flag,
  diverged: flag,
  backup_failed: flag,
  backup_stale: flag,
  backup_unproven: flag,
  backup_not_stored: flag,
});

const kinds = ["webhook", "slack", "discord", "email", "ping"] as const;

const target = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9_-]*$/i, { error: "must be letters, digits, _ or -" }),
    webhook: secretHttpUrl.optional(),
    secret: z
      .string()
      .refine((value) => value.length >= 16, { error: "must have 16 characters or more" })
      .optional(),
    slack: secretHttpUrl.optional(),
    discord: secretHttpUrl.optional(),
    ping: secretHttpUrl.optional(),
    email: smtpUrl.optional(),
    from: mailAddress.optional(),
    to: z.array(mailAddress).min(1, { error: "must name an address" }).optional(),
  })
  .refine((value) => kinds.filter((kind) => value[kind] !== undefined).length === 1, {
    error: `needs exactly one of ${kinds.join(", ")}`,
  })
  .refine((value) => (value.webhook === undefined) === (value.secret === undefined), {
    error: "needs a secret where it is a webhook, and only there",
  })
  .refine((value) => [value.from, value.to].every((each) => (each === undefined) === (value.email === undefined)), {
    error: "needs from and to where it is email, and only there",
  });

/** The section `alerts` of the file. */
export const alertsSchema = z.strictObject({
  every: duration.refine((ms) => ms >= 1_000, { error: "must be 1s or more" }).default(minute),
  repeat: atLeastOrOff(minute, "1m").default(6 * hour),
  rules: rules.prefault({}),
  targets: z
    .array(target)
    .superRefine((targets, context) => {
      for (const [index, { name }] of targets.entries()) {
        if (targets.findIndex((other) => other.name === name) < index)
          context.addIssue({ code: "custom", message: `there is another target "${name}"`, path: [index, "name"] });
      }
    })
    .default([]),
});

/** The keys that may stand in `alerts`, or in the part of it. */
export function alertKeys(part: PropertyKey | undefined): readonly string[] {
  if (part === undefined) return Object.keys(alertsSchema.shape);
  return Object.keys(part === "rules" ? rules.shape : target.shape);
}

const unlessOff = (value: number | "off") => (value === "off" ? null : value);

/** The alerts of the file, as the program has them. */
export function alertsOf(value: z.infer<typeof alertsSchema>): AlertConfig {
  const { rules: told } = value;
  return {
    everyMs: value.every,
    repeatMs: unlessOff(value.repeat),
    rules: {
      linkDownMs: unlessOff(told.link_down),
      lagMs: unlessOff(told.lag),
      parkedMs: unlessOff(told.parked),
      conflictsPerHour: unlessOff(told.conflicts_per_hour),
      clockSkewMs: unlessOff(told.clock_skew),
      logGrowingMs: unlessOff(told.log_growing),
      shrunkPercent: unlessOff(told.shrunk),
      diskLowPercent: unlessOff(told.disk_low),
      held: told.held === "on",
      diverged: told.diverged === "on",
      backupFailed: told.backup_failed === "on",
      backupStale: told.backup_stale === "on",
      backupUnproven: told.backup_unproven === "on",
      backupNotStored: told.backup_not_stored === "on",
    },
    targets: value.targets.map(targetOf),
  };
}

function targetOf({ name, secret = "", from = "", to = [], ...urls }: z.infer<typeof target>): AlertTarget {
  const kind = kinds.find((each) => urls[each] !== undefined) ?? "webhook";
  const url = urls[kind] ?? "";
  const made: AlertTarget =
    kind === "webhook"
      ? { name, kind, url, secret }
      : kind === "email"
        ? { name, kind, url, from, to }
        : { name, kind, url };
  const hidden = { value: () => ({ name, kind, url: "***" }) };
  return Object.defineProperties(made, { toJSON: hidden, [inspect.custom]: hidden });
}
