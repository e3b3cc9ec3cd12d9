import { BackupFolder } from "../backup/folder.ts";
import { notStored, uploadBackups } from "../backup/upload.ts";
import { errorLine } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { Backoff } from "../base/retry.ts";
import type { Clock } from "../base/time.ts";
import type { Config } from "../config/config.ts";

/** What the uploads need of the sidecar. */
export interface UploadLoopOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

const lookEveryMs = 2_000;
const askEveryMs = 3_600_000;

/**
 * Brings every backup of the folder to the store, whoever made it. It looks into the store at the start, for the disk may be a new one, and every
 * hour, for what is there may have gone. A
 * failure is on record, and tried again after growing pauses; backups do not wait for it.
 */
export async function uploadLoop(config: Config, { clock, logger, signal }: UploadLoopOptions): Promise<void> {
  if (config.backup.store === null) return;
  const folder = new BackupFolder(config.backup.dir);
  const failing = new Backoff({ min: 10_000, max: 900_000 });
  let askedAt = Number.NEGATIVE_INFINITY;
  while (!signal.aborted) {
    let pause = lookEveryMs;
    try {
      const now = clock.now();
      // A clock may have been set back.
      if (Math.abs(now - askedAt) >= askEveryMs || (await notStored(folder)).length > 0) {
        const { uploaded, store } = await uploadBackups(config, { clock, signal });
        for (const backup of uploaded) logger.info({ backup }, `brought to ${store}`);
        askedAt = now;
      }
      failing.reset();
    } catch (error) {
      if (!signal.aborted) logger.error({}, `the upload of backups failed: ${errorLine(error)}`);
      pause = failing.next();
    }
    await clock.sleep(pause, signal).catch(() => {});
  }
}
