import { rm } from "node:fs/promises";
import { TandemError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Clock } from "../base/time.ts";
import type { StoreConfig } from "../config/config.ts";
import type { BackupFolder } from "./folder.ts";
import type { Store } from "./store.ts";
import { openStore } from "./store-open.ts";
import { refreshStored, type StoreLook } from "./store-refresh.ts";
import { forgetStored, storedName } from "./stored.ts";

// Somebody else may be uploading it, with a clock of his own.
const graceMs = 86_400_000;

/** What retention does in the store. */
export class StorePrune implements AsyncDisposable {
  readonly name: string;
  /** Why the store could not be asked; then nothing is removed there. */
  readonly unasked: unknown;
  readonly #store: Store;
  readonly #folder: BackupFolder;
  readonly #look: StoreLook | null;
  readonly #clock: Clock;
  readonly #logger: Logger;

  private constructor(
    store: Store,
    folder: BackupFolder,
    found: { readonly look: StoreLook | null; readonly unasked: unknown },
    { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  ) {
    this.name = store.name;
    this.unasked = found.unasked;
    this.#store = store;
    this.#folder = folder;
    this.#look = found.look;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Looks into the store, and notes what is there; null where there is no store. */
  static async begin(
    config: StoreConfig | null,
    folder: BackupFolder,
    options: { readonly clock: Clock; readonly logger: Logger },
  ): Promise<StorePrune | null> {
    if (config === null) return null;
    const store = await openStore(config);
    try {
      return new StorePrune(store, folder, { look: await refreshStored(folder, store), unasked: null }, options);
    } catch (unasked) {
      return new StorePrune(store, folder, { look: null, unasked }, options);
    }
  }

  /** Removes a backup: first what makes it one, then its data. */
  async remove(id: string): Promise<void> {
    if (this.#look === null) throw new TandemError("store_failed", `store ${this.name} could not be asked`);
    const keys = this.#keysOf(id);
    const first = `${id}/${storedName}`;
    await this.#store.remove([first, ...keys.filter((key) => key !== first)]);
    await forgetStored(this.#folder, id);
    await rm(this.#folder.proof(id), { force: true });
  }

  #keysOf(id: string): string[] {
    return (this.#look?.keys.get(id) ?? []).map(({ key }) => key);
  }

  /** Removes what broken uploads and removals have left, when it is old enough to be nobody's any more. */
  async tidy(): Promise<void> {
    const before = this.#clock.now() - graceMs;
    await this.#store.sweep("", before);
    for (const [id, objects] of this.#look?.keys ?? []) {
      const sealed = objects.some(({ key }) => key === `${id}/${storedName}` || key === `${id}.pin`);
      if (sealed || objects.some(({ modifiedAt }) => modifiedAt >= before)) continue;
      await this.#store.remove(objects.map(({ key }) => key));
      this.#logger.warn({ backup: id }, "removed what an interrupted upload had left in the store");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#store.close();
  }
}
