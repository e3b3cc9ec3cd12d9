import type { Readable } from "node:stream";
import { TandemError } from "../base/errors.ts";
import type { StoreConfig } from "../config/config.ts";

/** What lies in a store under one key. */
export interface StoreObject {
  readonly key: string;
  readonly bytes: number;
  /** Milliseconds since 1970, by the clock of the store. */
  readonly modifiedAt: number;
}

/** What was stored. */
export interface StoredBytes {
  readonly bytes: number;
  readonly sha256: string;
}

/** What `Store.put` stores. */
export interface PutOptions {
  /** As near as is known beforehand: an object is cut into parts by it. */
  readonly bytes: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A place for copies of backups: objects by key, each whole or not there. Keys have parts with slashes between them. Every error
 * is a TandemError: `store_failed` may mend itself, `store_refused` needs a person.
 */
export interface Store {
  /** For people; holds no secret. */
  readonly name: string;
  /**
   * Stores what `open` gives, and replaces what was there. When it returns the store has exactly these bytes; when it throws the
   * key holds what it held before, or, where the store changed them on their way, nothing.
   */
  put(key: string, open: () => Readable | Promise<Readable>, options: PutOptions): Promise<StoredBytes>;
  /** The object as a stream; null when there is none. Errors of the stream itself are to be told by `storeError`. */
  get(key: string, signal?: AbortSignal): Promise<Readable | null>;
  /** All objects whose keys begin so, in the order of their keys. */
  list(prefix: string, signal?: AbortSignal): Promise<StoreObject[]>;
  /** Removes objects one after the other in the order given; those that are not there are no error. */
  remove(keys: readonly string[], signal?: AbortSignal): Promise<void>;
  /** Removes what broken uploads below a prefix have left that began before the moment; returns how many. */
  sweep(prefix: string, before: number, signal?: AbortSignal): Promise<number>;
  close(): void;
}

/** What a store is called; holds no secret. */
export function storeName(config: StoreConfig): string {
  return config.kind === "folder" ? config.path : `s3://${config.bucket}/${config.prefix}`;
}

const refusals = new Set([
  ...["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "NoSuchBucket", "PermanentRedirect"],
  ...["AuthorizationHeaderMalformed", "InvalidToken", "ExpiredToken", "CredentialsProviderError", "Forbidden"],
  ...["EACCES", "EPERM", "EROFS"],
]);

const words: Readonly<Record<string, string>> = {
  ENOSPC: "there is no room left",
  EDQUOT: "the quota is used up",
  EROFS: "it is read-only",
  EACCES: "access is denied",
  EPERM: "access is denied",
  ECONNREFUSED: "nobody answers there",
  ECONNRESET: "the connection was lost",
  ENOTFOUND: "there is no such host",
  TimeoutError: "it does not answer",
  CredentialsProviderError: "there are no credentials for it",
};

/** Gives whatever went wrong with a store a code and words. */
export function storeError(error: unknown, store: string, signal?: AbortSignal): TandemError {
  if (signal?.aborted) return new TandemError("stopped", "the work with the store was stopped", { cause: error });
  if (error instanceof TandemError) return error;
  const { name = "", message = "", code, $metadata } = error as Partial<S3Failure>;
  const known = [code, name].find((one) => one !== undefined && (one in words || refusals.has(one)));
  const status = $metadata?.httpStatusCode;
  const refused = refusals.has(known ?? "") || status === 401 || status === 403;
  const why = words[known ?? ""] ?? (message && message !== "UnknownError" ? message : `${name || code} (${status})`);
  return new TandemError(refused ? "store_refused" : "store_failed", `store ${store}: ${why}`, { cause: error });
}

interface S3Failure extends NodeJS.ErrnoException {
  readonly $metadata: { readonly httpStatusCode?: number };
}
