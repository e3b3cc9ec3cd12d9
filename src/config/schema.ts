import { z } from "zod";
import { alertKeys, alertsSchema } from "./alerts.ts";
import {
  ageRecipient,
  atLeastOrOff,
  conflictRule,
  cronSchedule,
  duration,
  hostName,
  httpUrl,
  listenAddress,
  nodeName,
  tablePattern,
  timeZone,
  wholeNumber,
} from "./fields.ts";

const second = 1_000;
const day = 86_400 * second;

const text = z.string().min(1, { error: "must not be empty" });

const node = z.strictObject({ url: text });

const tableRule = z.strictObject({
  name: tablePattern,
  conflict: conflictRule.optional(),
  updated_at: text.optional(),
  triggers: z.enum(["leave", "guard"]).optional(),
});

const table = z.preprocess((value) => (typeof value === "string" ? { name: value } : value), tableRule);

// The defaults of Tandem stand in this file and nowhere else; a default in a command would overrule the file.
const sync = z.strictObject({
  interval: duration.refine((ms) => ms >= 10, { error: "must be 10ms or more" }).default(second),
  batch_rows: wholeNumber(1).default(100_000),
  max_skew: duration.default(300 * second),
  retention: duration.default(7 * day),
  keep_conflicts: duration.default(28 * day),
  seed: nodeName.optional(),
  sequences: z.enum(["past", "interleave"]).default("past"),
  heartbeat: atLeastOrOff(second, "1s").default("off"),
});

const verify = z.strictObject({
  every: atLeastOrOff(60 * second, "1m").default(day),
});

const http = z.strictObject({
  listen: listenAddress.default("127.0.0.1:7420"),
  token: z
    .string()
    .refine((value) => value.length >= 16, { error: "must have 16 characters or more" })
    .optional(),
  hosts: z.array(hostName).default([]),
});

const included = z.array(
  text
    .refine((path) => !/^(\/|[a-z]:)|(^|\/)\.\.?(\/|$)|\/\/|[\\\0]/i.test(path.replace(/\/+$/, "")), {
      error: "must be a path below the folder of this file, such as uploads",
    })
    .transform((path) => path.replace(/\/+$/, "")),
);

const job = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9_-]*$/i, { error: "must be letters, digits, _ or -" }),
    node: nodeName,
    schedule: cronSchedule.optional(),
    after_change: z.array(tablePattern).min(1, { error: "must name a table" }).optional(),
    keep_last: wholeNumber(1).optional(),
    keep_days: wholeNumber(1).optional(),
    keep_daily: wholeNumber(1).optional(),
    keep_weekly: wholeNumber(1).optional(),
    keep_monthly: wholeNumber(1).optional(),
    include: included.optional(),
    prove: z.enum(["daily", "weekly", "off"]).default("off"),
  })
  .refine((value) => value.schedule !== undefined || value.after_change !== undefined, {
    error: "needs a schedule or after_change",
  });

const s3Only = [
  ...["prefix", "endpoint", "region", "path_style", "checksums"],
  ...["access_key_id", "secret_access_key", "session_token"],
] as const;

const store = z
  .strictObject({
    folder: text.optional(),
    bucket: text.optional(),
    prefix: z.string().optional(),
    endpoint: httpUrl.optional(),
    region: text.optional(),
    path_style: z.boolean().optional(),
    checksums: z.enum(["when_supported", "when_required"]).optional(),
    access_key_id: text.optional(),
    secret_access_key: text.optional(),
    session_token: text.optional(),
  })
  .refine(({ folder, bucket }) => (folder === undefined) !== (bucket === undefined), {
    error: "needs either a folder or a bucket",
  })
  .refine((value) => value.folder === undefined || s3Only.every((key) => !(key in value)), {
    error: "is a folder: what belongs to a bucket means nothing there",
  })
  .refine((value) => (value.access_key_id === undefined) === (value.secret_access_key === undefined), {
    error: "needs both access_key_id and secret_access_key, or neither",
  });

const encrypt = z.strictObject({
  recipients: z.array(ageRecipient).min(1, { error: "must name a recipient" }),
  identity: text.optional(),
});

const backup = z
  .strictObject({
    dir: text.default("backups"),
    pg_bin: text.optional(),
    compress: z.boolean().default(true),
    scratch: text.optional(),
    time_zone: timeZone.default("UTC"),
    store: store.optional(),
    encrypt: encrypt.optional(),
    include: included.default([]),
    include_secrets: z.boolean().default(false),
    jobs: z.array(job).default([]),
  })
  .refine((value) => value.encrypt === undefined || value.store !== undefined, {
    error: "encrypt needs a store: it is for what lies there",
    path: ["encrypt"],
  });

/** The shape of tandem.yaml. What concerns several values at once is checked in rules.ts. */
export const fileSchema = z.strictObject({
  nodes: z
    .record(nodeName, node)
    .refine((nodes) => Object.keys(nodes).length > 0, { error: "must name at least one node" }),
  links: z.array(z.tuple([nodeName, nodeName])).optional(),
  tables: z.array(table).min(1, { error: "must name a table; leave it out to track all" }).optional(),
  exclude: z.array(tablePattern).default([]),
  sync: sync.prefault({}),
  verify: verify.prefault({}),
  http: http.prefault({}),
  backup: backup.prefault({}),
  alerts: alertsSchema.prefault({}),
});

/** A file that has the right shape, with its defaults. */
export type FileValue = z.infer<typeof fileSchema>;

/** The content of a tandem.yaml, as an application writes it down. */
export type Settings = Omit<z.input<typeof fileSchema>, "tables"> & {
  tables?: (string | z.input<typeof tableRule>)[];
};

/** The keys that may stand at a path of the file, for `did you mean`. */
export function knownKeys(path: readonly PropertyKey[]): readonly string[] {
  const [section] = path;
  if (section === undefined) return Object.keys(fileSchema.shape);
  if (section === "nodes") return Object.keys(node.shape);
  if (section === "tables") return ["name", "conflict", "updated_at", "triggers"];
  if (section === "sync") return Object.keys(sync.shape);
  if (section === "verify") return Object.keys(verify.shape);
  if (section === "http") return Object.keys(http.shape);
  if (section === "backup") return backupKeys(path);
  if (section === "alerts") return alertKeys(path[1]);
  return [];
}

function backupKeys([, part]: readonly PropertyKey[]): readonly string[] {
  if (part === undefined) return Object.keys(backup.shape);
  return Object.keys(part === "store" ? store.shape : part === "encrypt" ? encrypt.shape : job.shape);
}
