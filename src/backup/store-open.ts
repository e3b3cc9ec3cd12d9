import { registerSecret } from "../base/scrub.ts";
import type { StoreConfig } from "../config/config.ts";
import type { Store } from "./store.ts";

/** Opens the store of the configuration. What a kind of store needs is loaded here and nowhere else. */
export async function openStore(config: StoreConfig): Promise<Store> {
  if (config.kind === "folder") {
    const { FolderStore } = await import("./store-folder.ts");
    return new FolderStore(config.path);
  }
  registerSecret(config.credentials?.secretAccessKey);
  registerSecret(config.credentials?.sessionToken);
  // The version is pinned: what later ones will need is not the user's to act on.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
  const { S3Store } = await import("./store-s3.ts");
  return new S3Store(config);
}
