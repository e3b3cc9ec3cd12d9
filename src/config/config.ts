/**
 * A database that takes part. The URL holds a password: never log or print a node; objects made by `loadConfig`
 * hide it from JSON and inspection, literals do not.
 */
export interface NodeConfig {
  readonly name: string;
  readonly url: string;
}

/** One direction between two nodes that are directly connected. */
export interface LinkConfig {
  readonly source: string;
  readonly target: string;
}

/** Who wins a conflict: the newer version, or the node named. */
export type ConflictRule = "newest" | `prefer: ${string}`;

/** What becomes of the application's triggers while changes are applied: they fire, or are kept from it. */
export type TriggerChoice = "leave" | "guard";

/** One entry of `tables`. */
export interface TableRule {
  /** A pattern as `matchesTable` reads it: `schema.table`, `schema.*`. */
  readonly name: string;
  readonly conflict: ConflictRule;
  /** The column that says when a row was last written; null: a column called `updated_at`, if there is one. */
  readonly updatedAt: string | null;
  /** Absent: nobody has chosen; they are as they are. */
  readonly triggers?: TriggerChoice | undefined;
}

/** How changes travel. All times in milliseconds. */
export interface SyncConfig {
  readonly intervalMs: number;
  readonly batchRows: number;
  readonly maxSkewMs: number;
  readonly retentionMs: number;
  /** How long the images of conflicts are kept. */
  readonly keepConflictsMs: number;
  /** The node that wins where a first meeting has nothing else to decide by. */
  readonly seed: string | null;
  readonly sequences: "past" | "interleave";
  /** How often each link is timed by a row of its own; null: it is not. */
  readonly heartbeatMs: number | null;
  /** Null: no comparison by itself. */
  readonly verifyEveryMs: number | null;
}

/** Where the sidecar listens. */
export interface HttpConfig {
  /** `host:port`; null: it does not. */
  readonly listen: string | null;
  /** What every action needs, and every request where `listen` is no loopback address. */
  readonly token: string | null;
  /** Names it is reached by, beside its own address: those of a proxy before it. */
  readonly hosts: readonly string[];
}

/** One kind of backup with a retention of its own. At least one of `schedule` and `afterChange` is set. */
export interface BackupJob {
  readonly name: string;
  readonly node: string;
  /** Five fields as cron reads them. */
  readonly schedule: string | null;
  /** Patterns of tables whose change asks for a backup. */
  readonly afterChange: readonly string[] | null;
  readonly keepLast: number | null;
  readonly keepDays: number | null;
  readonly keepDaily: number | null;
  readonly keepWeekly: number | null;
  readonly keepMonthly: number | null;
  /** How often the newest backup is proven to level 3; null: only when somebody asks. */
  readonly proveEveryMs: number | null;
  /** What else goes into its backups; null: what `BackupConfig` says. */
  readonly include: readonly string[] | null;
}

/** A folder on another disk, as an operator has mounted it; absolute. */
export interface FolderStoreConfig {
  readonly kind: "folder";
  readonly path: string;
}

/** A bucket of Amazon S3 or of a service that speaks its protocol. */
export interface S3StoreConfig {
  readonly kind: "s3";
  readonly bucket: string;
  /** Before every key; empty, or with a slash at its end. */
  readonly prefix: string;
  /** Null: Amazon's own. */
  readonly endpoint: string | null;
  /** Null: what the environment says. */
  readonly region: string | null;
  /** Whether the bucket stands in the path, not in the name of the host. */
  readonly pathStyle: boolean;
  /** Whether checksums of the newer kind are sent wherever the protocol knows them; not every service does. */
  readonly checksums: "when_supported" | "when_required";
  /** Null: the default chain of the AWS SDK (environment, shared files, role of the machine). Never to be printed. */
  readonly credentials: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken: string | null;
  } | null;
}

/** Where copies of backups are kept beside the folder. */
export type StoreConfig = FolderStoreConfig | S3StoreConfig;

/** How what lies in the store is encrypted. */
export interface EncryptConfig {
  /** Public keys as `age-keygen` writes them: `age1…`. */
  readonly recipients: readonly string[];
  /** The file of the private key, absolute; null: `--identity` names it where it is needed. */
  readonly identity: string | null;
}

/** Backups; `dir` is absolute. */
export interface BackupConfig {
  readonly dir: string;
  /** The folder of pg_dump and pg_restore; null: they are looked for. */
  readonly pgBin: string | null;
  /** Whether the rows of each table are compressed. */
  readonly compress: boolean;
  /** URL of a server where backups are restored for a try; null: one of our own. */
  readonly scratch: string | null;
  /** Where the days, weeks and months of retention begin; a name of the IANA list. */
  readonly timeZone: string;
  /** Null: the folder is all there is. */
  readonly store: StoreConfig | null;
  /** Null: what lies in the store can be read by whoever can read the store. */
  readonly encrypt: EncryptConfig | null;
  /** Folders and files that go into backups besides the database; relative to `includeRoot`, and below it. */
  readonly include: readonly string[];
  /** The folder of the configuration; absolute. */
  readonly includeRoot: string;
  /** Whether files go in that are there to hold secrets, such as `.env`. */
  readonly includeSecrets: boolean;
  readonly jobs: readonly BackupJob[];
}

/** From when on something is told; null: it is not. */
export interface AlertRules {
  /** A link or a node that has not worked for so long. */
  readonly linkDownMs: number | null;
  /** A change that has waited for so long. */
  readonly lagMs: number | null;
  /** A row that has been parked for so long. */
  readonly parkedMs: number | null;
  readonly conflictsPerHour: number | null;
  readonly clockSkewMs: number | null;
  /** A peer that has acknowledged nothing for so long though changes are kept for it. */
  readonly logGrowingMs: number | null;
  /** The newest backup has less than so many percent of what is usual. */
  readonly shrunkPercent: number | null;
  /** The disk of the backups has less than so many percent free. */
  readonly diskLowPercent: number | null;
  readonly held: boolean;
  readonly diverged: boolean;
  readonly backupFailed: boolean;
  readonly backupStale: boolean;
  readonly backupUnproven: boolean;
  readonly backupNotStored: boolean;
}

/** Who is told. The URL is a secret: targets made by `loadConfig` hide it from JSON and inspection. */
export type AlertTarget = { readonly name: string; readonly url: string } & (
  | { readonly kind: "slack" | "discord" | "ping" }
  | { readonly kind: "webhook"; readonly secret: string }
  | { readonly kind: "email"; readonly from: string; readonly to: readonly string[] }
);

/** Whom the sidecar tells of what a person must look at. */
export interface AlertConfig {
  /** How often it looks. */
  readonly everyMs: number;
  /** After how long it tells again of what lasts; null: once. */
  readonly repeatMs: number | null;
  readonly rules: AlertRules;
  readonly targets: readonly AlertTarget[];
}

/** Everything that was configured, with defaults filled in; deeply frozen, made once per process. */
export interface Config {
  /** The file it came from; null: the environment alone. */
  readonly file: string | null;
  readonly nodes: readonly NodeConfig[];
  readonly links: readonly LinkConfig[];
  /** Null: every table with a key that the role owns. */
  readonly tables: readonly TableRule[] | null;
  /** Patterns; stronger than `tables`. */
  readonly exclude: readonly string[];
  readonly sync: SyncConfig;
  readonly http: HttpConfig;
  readonly backup: BackupConfig;
  readonly alerts: AlertConfig;
}
