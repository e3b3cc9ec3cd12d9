// The library's face: what the commands do. The CLI is a thin user of the same functions.
export { type BackupEvent, type CreateOptions, createBackup } from "./backup/create.ts";
export { type BackupEntry, type BackupList, listBackups } from "./backup/list.ts";
export { type PruneOptions, type PruneReport, pruneBackups } from "./backup/prune.ts";
export { type BackupRestoreReport, type RestoreOptions, restoreBackup } from "./backup/restore.ts";
export { type RestoredFiles, type RestoreFilesOptions, restoreFiles } from "./backup/restore-files.ts";
export { type NewDatabase, restoreNewDatabase } from "./backup/restore-new.ts";
export type { Decision } from "./backup/retention.ts";
export { listWithStore, type StoreList, type StoreState } from "./backup/store-state.ts";
export { type UploadOptions, type UploadReport, uploadBackups } from "./backup/upload.ts";
export { type BackupProof, type VerifyBackupOptions, verifyBackup } from "./backup/verify.ts";
export type { ErrorCode } from "./base/error-codes.ts";
export { TandemError } from "./base/errors.ts";
export type { LogFields, Logger } from "./base/logger.ts";
export type {
  BackupConfig,
  BackupJob,
  Config,
  ConflictRule,
  EncryptConfig,
  FolderStoreConfig,
  HttpConfig,
  LinkConfig,
  NodeConfig,
  S3StoreConfig,
  StoreConfig,
  SyncConfig,
  TableRule,
  TriggerChoice,
} from "./config/config.ts";
export { ConfigError, type ConfigFault } from "./config/config-error.ts";
export { type LoadOptions, loadConfig } from "./config/load.ts";
export type { Settings } from "./config/schema.ts";
export type { Finding, Severity } from "./doctor/check.ts";
export { type DoctorOptions, type DoctorReport, doctor } from "./doctor/doctor.ts";
export { type DropNodeOutcome, type DropNodeReport, dropNode } from "./install/drop-node.ts";
export { emitMigration } from "./install/emit.ts";
export { type InstallOptions, migrate } from "./install/migrate.ts";
export type { MigrateEvent, MigrateReport, NodeReport, SchemaCopy, TableOutcome } from "./install/report.ts";
export { migrationScript, uninstallScript } from "./install/script.ts";
export { type UninstallReport, uninstall } from "./install/uninstall.ts";
export { type OpenOptions, openTandem, Tandem, type TandemEvents } from "./library/tandem.ts";
export type { LinkEvent, LinkReport } from "./link/report.ts";
export type { Unanswered } from "./sidecar/ask-nodes.ts";
export {
  type ColumnDifference,
  type Conflict,
  type ConflictDetails,
  conflicts,
  type OneConflictOptions,
  type RestoreReport,
  restoreConflict,
  showConflict,
  type Version,
} from "./sidecar/conflicts.ts";
export { dryRun, type LinkPreview } from "./sidecar/dry-run.ts";
export type { LinkActivity } from "./sidecar/link-loop.ts";
export type { LinkStatus } from "./sidecar/link-status.ts";
export { type List, type ListOptions, type PendingChange, pending } from "./sidecar/lists.ts";
export {
  type DroppedChange,
  type DropReport,
  dropParked,
  dropped,
  type ParkedChange,
  parked,
  type RetryReport,
  retryParked,
} from "./sidecar/parked.ts";
export type { Problem } from "./sidecar/problems.ts";
export { type RejoinOptions, type RejoinReport, rejoin } from "./sidecar/rejoin.ts";
export { type RepairedKey, type RepairOptions, type RepairReport, repair } from "./sidecar/repair.ts";
export { runSidecar, type SidecarOptions } from "./sidecar/sidecar.ts";
export { type BackupStatus, type LeftOut, type StatusOptions, type StatusReport, status } from "./sidecar/status.ts";
export { type LinkOutcome, type SyncOptions, type SyncReport, sync } from "./sidecar/sync.ts";
export type { TableVerifyReport, VerifyEvent, VerifyReport } from "./verify/report.ts";
export { type VerifyOptions, verify } from "./verify/verify.ts";
