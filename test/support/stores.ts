import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import S3rver from "s3rver";
import type { Store } from "../../src/backup/store.ts";
import { openStore } from "../../src/backup/store-open.ts";
import type { S3StoreConfig, StoreConfig } from "../../src/config/config.ts";
import { tempFolder } from "./child.ts";
import { afterTest } from "./pg.ts";
import { S3Server } from "./s3-server.ts";

/** How a bucket of a test's own server is configured. */
export function s3Config(endpoint: string, changes: Partial<S3StoreConfig> = {}): S3StoreConfig {
  return {
    ...{ kind: "s3", bucket: "bucket", prefix: "shop/", endpoint, region: "us-east-1", pathStyle: true },
    checksums: "when_required",
    credentials: { accessKeyId: "S3RVER", secretAccessKey: "S3RVER", sessionToken: null },
    ...changes,
  };
}

/** A server of the test's own that ends with the test. */
export async function s3Server(): Promise<S3Server> {
  const server = await S3Server.start();
  afterTest(() => server[Symbol.asyncDispose]());
  return server;
}

async function s3rver(): Promise<StoreConfig> {
  const server = new S3rver({
    ...{ port: 0, address: "127.0.0.1", silent: true, directory: await tempFolder(), allowMismatchedSignatures: false },
    configureBuckets: [{ name: "bucket", configs: [] }],
  });
  const { port } = await server.run();
  afterTest(() => server.close());
  return s3Config(`http://127.0.0.1:${port}`);
}

async function folder(): Promise<StoreConfig> {
  const path = join(await tempFolder(), "other disk");
  await mkdir(path);
  return { kind: "folder", path };
}

/** Every kind of store, each empty and with the test's life; what holds for one holds for all. */
export const stores: Readonly<Record<string, () => Promise<StoreConfig>>> = {
  folder,
  s3rver,
  "own S3 server": async () => s3Config((await s3Server()).endpoint),
};

/** Opens a store until the test ends. */
export async function openFor(config: StoreConfig): Promise<Store> {
  const store = await openStore(config);
  afterTest(async () => store.close());
  return store;
}

/** Bytes as `Store.put` wants them. */
export function source(bytes: Buffer): () => Readable {
  return () => Readable.from([...slices(bytes)]);
}

function* slices(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_000) yield bytes.subarray(at, at + 65_000);
}
