import { resolve } from "node:path";
import { inspect } from "node:util";
import type { EncryptConfig, StoreConfig } from "./config.ts";
import type { FileValue } from "./schema.ts";

type BackupValue = FileValue["backup"];

/** The store of the file, its defaults filled in; those of a bucket differ where the service is not Amazon's. */
export function storeOf({ store }: BackupValue, folder: string): StoreConfig | null {
  if (store === undefined) return null;
  if (store.folder !== undefined) return { kind: "folder", path: resolve(folder, store.folder) };
  const prefix = (store.prefix ?? "").replace(/^\/+|\/+$/g, "");
  const foreign = store.endpoint !== undefined;
  return {
    kind: "s3",
    bucket: store.bucket ?? "",
    prefix: prefix === "" ? "" : `${prefix}/`,
    endpoint: store.endpoint ?? null,
    region: store.region ?? (foreign ? "us-east-1" : null),
    pathStyle: store.path_style ?? foreign,
    checksums: store.checksums ?? (foreign ? "when_required" : "when_supported"),
    credentials: credentialsOf(store),
  };
}

/** Kept out of JSON and of inspected objects, and so out of logs that were given them by mistake. */
function credentialsOf(store: NonNullable<BackupValue["store"]>) {
  const { access_key_id: accessKeyId, secret_access_key: secretAccessKey, session_token: sessionToken = null } = store;
  if (accessKeyId === undefined || secretAccessKey === undefined) return null;
  const hidden = { value: () => "***" };
  return Object.defineProperties(
    { accessKeyId, secretAccessKey, sessionToken },
    { toJSON: hidden, [inspect.custom]: hidden },
  );
}

/** Whom backups are encrypted for. */
export function encryptOf({ encrypt }: BackupValue, folder: string): EncryptConfig | null {
  if (encrypt === undefined) return null;
  const { recipients, identity } = encrypt;
  return { recipients, identity: identity === undefined ? null : resolve(folder, identity) };
}
