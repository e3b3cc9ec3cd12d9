import { createHash, type Hash } from "node:crypto";
import { type Readable, Transform } from "node:stream";
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  type MultipartUpload,
  S3Client,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { TandemError } from "../base/errors.ts";
import type { S3StoreConfig } from "../config/config.ts";
import { type PutOptions, type Store, type StoredBytes, type StoreObject, storeError, storeName } from "./store.ts";

// The least that the protocol allows: two are held at a time, each more than once.
const leastPart = 5 * 2 ** 20;
// The protocol allows ten thousand parts; sizes are estimates.
const mostParts = 9_000;

/** A bucket of Amazon S3 or of a service that speaks its protocol. Memory: two parts of 5 MiB, more for objects above 47 GB. */
export class S3Store implements Store {
  readonly name: string;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;

  /** `silentMs`: how long the service may say nothing before the connection counts as lost. */
  constructor(config: S3StoreConfig, { silentMs = 60_000 }: { readonly silentMs?: number } = {}) {
    const { bucket, prefix, endpoint, region, pathStyle, checksums, credentials } = config;
    this.name = storeName(config);
    this.#bucket = bucket;
    this.#prefix = prefix;
    const mode = checksums === "when_supported" ? "WHEN_SUPPORTED" : "WHEN_REQUIRED";
    this.#client = new S3Client({
      forcePathStyle: pathStyle,
      requestChecksumCalculation: mode,
      responseChecksumValidation: mode,
      maxAttempts: 3,
      // Silence counts, not the time that a large part takes on a slow line.
      requestHandler: { connectionTimeout: 10_000, socketTimeout: silentMs },
      ...(endpoint === null ? {} : { endpoint }),
      ...(region === null ? {} : { region }),
      ...(credentials === null
        ? {}
        : {
            credentials: {
              accessKeyId: credentials.accessKeyId,
              secretAccessKey: credentials.secretAccessKey,
              ...(credentials.sessionToken === null ? {} : { sessionToken: credentials.sessionToken }),
            },
          }),
    });
  }

  async put(
    key: string,
    open: () => Readable | Promise<Readable>,
    { bytes, signal }: PutOptions,
  ): Promise<StoredBytes> {
    const partSize = Math.max(leastPart, Math.ceil((bytes * 1.01) / mostParts));
    const digest = new UploadDigest(partSize);
    try {
      await this.#upload(key, await open(), digest, partSize, signal);
    } catch (error) {
      if (signal?.aborted) throw storeError(error, this.name, signal);
      // The answer may have been lost, and nothing else.
      if (!digest.ended || (await this.#etagOf(key, digest, signal).catch(() => null)) !== true)
        throw storeError(error, this.name, signal);
    }
    await this.#confirm(key, digest, signal);
    return digest.stored();
  }

  async #upload(key: string, source: Readable, digest: UploadDigest, partSize: number, signal?: AbortSignal) {
    const upload = new Upload({
      client: this.#client,
      params: { Bucket: this.#bucket, Key: this.#prefix + key, Body: digest.tap(source) },
      queueSize: 2,
      partSize,
      leavePartsOnError: false,
    });
    const stop = () => void upload.abort();
    signal?.addEventListener("abort", stop, { once: true });
    try {
      if (signal?.aborted) throw new TandemError("stopped", "the upload was stopped");
      await upload.done();
    } finally {
      signal?.removeEventListener("abort", stop);
      source.destroy();
    }
  }

  /** Whether the object has the size and the ETag of what was sent; null: the ETag says nothing. */
  async #etagOf(key: string, digest: UploadDigest, signal?: AbortSignal): Promise<boolean | null> {
    const head = new HeadObjectCommand({ Bucket: this.#bucket, Key: this.#prefix + key });
    const { ContentLength, ETag } = await this.#client.send(head, { ...(signal && { abortSignal: signal }) });
    if (ContentLength !== digest.stored().bytes) return false;
    return digest.etags().includes((ETag ?? "").replaceAll('"', "")) ? true : null;
  }

  /** Where the ETag is not made of MD5 sums (encryption by a key service, other implementations) the bytes themselves are asked for. */
  async #confirm(key: string, digest: UploadDigest, signal?: AbortSignal): Promise<void> {
    try {
      let same = await this.#etagOf(key, digest, signal);
      if (same === null) same = (await this.#sha256Of(key, signal)) === digest.stored().sha256;
      if (same) return;
      await this.remove([key], signal);
    } catch (error) {
      throw storeError(error, this.name, signal);
    }
    throw new TandemError("store_failed", `store ${this.name} keeps other bytes of ${key} than were sent`);
  }

  async #sha256Of(key: string, signal?: AbortSignal): Promise<string | null> {
    const body = await this.get(key, signal);
    if (body === null) return null;
    const hash = createHash("sha256");
    for await (const chunk of body) hash.update(chunk as Buffer);
    return hash.digest("hex");
  }

  async get(key: string, signal?: AbortSignal): Promise<Readable | null> {
    const command = new GetObjectCommand({ Bucket: this.#bucket, Key: this.#prefix + key });
    try {
      const { Body } = await this.#client.send(command, { ...(signal && { abortSignal: signal }) });
      return Body as Readable;
    } catch (error) {
      if ((error as Error).name === "NoSuchKey") return null;
      throw storeError(error, this.name, signal);
    }
  }

  async list(prefix: string, signal?: AbortSignal): Promise<StoreObject[]> {
    const found: StoreObject[] = [];
    let token: string | undefined;
    try {
      do {
        const command: ListObjectsV2Command = new ListObjectsV2Command({
          Bucket: this.#bucket,
          Prefix: this.#prefix + prefix,
          ContinuationToken: token,
        });
        const page = await this.#client.send(command, { ...(signal && { abortSignal: signal }) });
        for (const { Key = "", Size = 0, LastModified } of page.Contents ?? [])
          found.push({ key: Key.slice(this.#prefix.length), bytes: Size, modifiedAt: LastModified?.getTime() ?? 0 });
        token = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
    } catch (error) {
      throw storeError(error, this.name, signal);
    }
    return found;
  }

  // One by one: not every service knows how to delete many at once.
  async remove(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    try {
      for (const key of keys) {
        const command = new DeleteObjectCommand({ Bucket: this.#bucket, Key: this.#prefix + key });
        await this.#client.send(command, { ...(signal && { abortSignal: signal }) });
      }
    } catch (error) {
      throw storeError(error, this.name, signal);
    }
  }

  async sweep(prefix: string, before: number, signal?: AbortSignal): Promise<number> {
    try {
      const broken = (await this.#broken(prefix, signal)).filter(
        ({ Initiated }) => (Initiated?.getTime() ?? before) < before,
      );
      for (const { Key, UploadId } of broken) {
        const command = new AbortMultipartUploadCommand({ Bucket: this.#bucket, Key, UploadId });
        await this.#client.send(command, { ...(signal && { abortSignal: signal }) }).catch(unless("NoSuchUpload"));
      }
      return broken.length;
    } catch (error) {
      throw storeError(error, this.name, signal);
    }
  }

  async #broken(prefix: string, signal?: AbortSignal): Promise<MultipartUpload[]> {
    const found: MultipartUpload[] = [];
    let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } | null = {};
    while (marker) {
      const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({
        Bucket: this.#bucket,
        Prefix: this.#prefix + prefix,
        ...marker,
      });
      const sent = this.#client.send(command, { ...(signal && { abortSignal: signal }) });
      // Services that cannot list them end them by themselves, or by a rule of the bucket.
      const page = await sent.catch(unless("NotImplemented"));
      found.push(...(page?.Uploads ?? []));
      marker = page?.IsTruncated ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker } : null;
    }
    return found;
  }

  close(): void {
    this.#client.destroy();
  }
}

function unless(name: string): (error: unknown) => null {
  return (error) => {
    if ((error as Error).name === name) return null;
    throw error;
  };
}

/** What goes through on its way to the bucket: SHA-256 of the whole, and the MD5 sums that ETags are made of. */
class UploadDigest {
  ended = false;
  readonly #partSize: number;
  readonly #sha256 = createHash("sha256");
  readonly #parts: Buffer[] = [];
  #whole: Hash = createHash("md5");
  #part: Hash = createHash("md5");
  #inPart = 0;
  #bytes = 0;
  #sums: { readonly sha256: string; readonly md5: string } | null = null;

  constructor(partSize: number) {
    this.#partSize = partSize;
  }

  tap(source: Readable): Readable {
    const tap = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        this.#add(chunk);
        done(null, chunk);
      },
      flush: (done) => {
        this.#end();
        done();
      },
    });
    source.once("error", (error) => tap.destroy(error));
    return source.pipe(tap);
  }

  #add(chunk: Buffer): void {
    this.#sha256.update(chunk);
    this.#whole.update(chunk);
    this.#bytes += chunk.length;
    for (let rest = chunk; rest.length > 0; ) {
      if (this.#inPart === this.#partSize) this.#endPart();
      const piece = rest.subarray(0, this.#partSize - this.#inPart);
      this.#part.update(piece);
      this.#inPart += piece.length;
      rest = rest.subarray(piece.length);
    }
  }

  #endPart(): void {
    this.#parts.push(this.#part.digest());
    this.#part = createHash("md5");
    this.#inPart = 0;
  }

  #end(): void {
    this.#endPart();
    this.#sums = { sha256: this.#sha256.digest("hex"), md5: this.#whole.digest("hex") };
    this.ended = true;
  }

  stored(): StoredBytes {
    return { bytes: this.#bytes, sha256: this.#sums?.sha256 ?? "" };
  }

  /** Of an object sent at once, and of one sent in parts. */
  etags(): string[] {
    const ofParts = createHash("md5").update(Buffer.concat(this.#parts)).digest("hex");
    return [this.#sums?.md5 ?? "", `${ofParts}-${this.#parts.length}`];
  }
}
