import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What a request is about; `op` is PutObject, UploadPart, CompleteMultipartUpload and so on. */
export interface S3Request {
  readonly op: string;
  readonly key: string;
  readonly part: number | null;
  readonly headers: IncomingMessage["headers"];
}

/**
 * What goes wrong with a request: the connection is cut in the middle of its body; it is refused (503, 403); it is done and the
 * connection is cut before the answer; the answer has another ETag; the bytes are not those that were sent; it is never answered;
 * the answer is cut in its middle, or stops there.
 */
export type S3Fault =
  | "cut"
  | "busy"
  | "forbidden"
  | "lost answer"
  | "wrong etag"
  | "wrong content"
  | "silent"
  | "cut answer"
  | "silent answer";

interface Stored {
  readonly body: Buffer;
  readonly etag: string;
  readonly at: number;
}

interface MultipartUpload {
  readonly key: string;
  readonly at: number;
  readonly parts: Map<number, Stored>;
}

/** A server of the S3 protocol for one bucket, in memory, that fails as it is told. It does not look at signatures. */
export class S3Server implements AsyncDisposable {
  readonly bucket = "bucket";
  readonly objects = new Map<string, Stored>();
  readonly uploads = new Map<string, MultipartUpload>();
  /** Every request that came in, in order. */
  readonly requests: S3Request[] = [];
  /** Milliseconds that each answer takes. */
  delayMs = 0;
  /** Added to the time at which things are said to have been stored. */
  ageMs = 0;
  readonly #server: Server;
  #inFlight = 0;
  #faults: { readonly meant: (request: S3Request) => boolean; readonly fault: S3Fault; left: number }[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<S3Server> {
    const server = createServer();
    const own = new S3Server(server);
    server.on("request", (request, response) => {
      own.#inFlight += 1;
      own
        .#serve(request, response)
        .catch((error: unknown) => {
          // A client that was killed cuts its own requests.
          if (!request.destroyed && !response.headersSent) response.writeHead(500).end(String(error));
        })
        .finally(() => {
          own.#inFlight -= 1;
        });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return own;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Whether all connections are closed and all that was asked for is done: what a killed client has sent still is. */
  async isQuiet(): Promise<boolean> {
    const open = await new Promise((resolve) => this.#server.getConnections((_, count) => resolve(count)));
    return open === 0 && this.#inFlight === 0;
  }

  /** The next requests that are meant fail; all of them where no number is said. */
  fail(fault: S3Fault, meant: (request: S3Request) => boolean, times = Number.POSITIVE_INFINITY): void {
    this.#faults.push({ meant, fault, left: times });
  }

  /** Nothing fails any more. */
  mend(): void {
    this.#faults = [];
  }

  /** Changes what an object holds, behind everybody's back. */
  tamper(key: string, change: (body: Buffer) => Buffer): void {
    const object = this.objects.get(key);
    if (!object) throw new Error(`there is no object ${key}`);
    this.objects.set(key, this.#stored(change(Buffer.from(object.body))));
  }

  #stored(body: Buffer): Stored {
    return { body, etag: createHash("md5").update(body).digest("hex"), at: Date.now() + this.ageMs };
  }

  #faultOf(request: S3Request): S3Fault | null {
    const found = this.#faults.find(({ meant, left }) => left > 0 && meant(request));
    if (!found) return null;
    found.left -= 1;
    return found.fault;
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(message.url ?? "/", this.endpoint);
    const [, bucket = "", ...rest] = url.pathname.split("/");
    const key = decodeURIComponent(rest.join("/"));
    const query = url.searchParams;
    const part = query.has("partNumber") ? Number(query.get("partNumber")) : null;
    const request = { op: operation(message.method ?? "", key, query), key, part, headers: message.headers };
    this.requests.push(request);
    const fault = this.#faultOf(request);
    const body = await readBody(message, fault === "cut");
    if (body === null) return;
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    if (fault === "silent") return;
    if (fault === "busy") return sendError(response, 503, "SlowDown");
    if (fault === "forbidden") return sendError(response, 403, "AccessDenied");
    if (bucket !== this.bucket) return sendError(response, 404, "NoSuchBucket");
    if (fault === "wrong content" && body.length > 0) body.writeUInt8(body.readUInt8(0) ^ 1, 0);
    const answer = this.#answer(request, query, body);
    if (fault === "lost answer") return void message.socket.destroy();
    if (fault === "wrong etag") answer.headers.etag = '"0123456789abcdef0123456789abcdef"';
    response.writeHead(answer.status, { ...answer.headers, "content-length": answer.length ?? answer.body.length });
    if (fault === "cut answer" || fault === "silent answer") {
      response.write(answer.body.subarray(0, answer.body.length >> 1));
      if (fault === "cut answer") setTimeout(() => message.socket.destroy(), 20);
      return;
    }
    response.end(message.method === "HEAD" ? undefined : answer.body);
  }

  #answer({ op, key, part }: S3Request, query: URLSearchParams, body: Buffer): Answer {
    const upload = this.uploads.get(query.get("uploadId") ?? "");
    switch (op) {
      case "PutObject": {
        const stored = this.#stored(body);
        this.objects.set(key, stored);
        return { ...empty(200), headers: { etag: `"${stored.etag}"` } };
      }
      case "CreateMultipartUpload": {
        const id = randomUUID();
        this.uploads.set(id, { key, at: Date.now() + this.ageMs, parts: new Map() });
        return xml(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
      }
      case "UploadPart": {
        if (!upload) return failure(404, "NoSuchUpload");
        const stored = this.#stored(body);
        upload.parts.set(part ?? 0, stored);
        return { ...empty(200), headers: { etag: `"${stored.etag}"` } };
      }
      case "CompleteMultipartUpload":
        return upload ? this.#complete(query.get("uploadId") ?? "", upload, body) : failure(404, "NoSuchUpload");
      case "AbortMultipartUpload":
        return this.uploads.delete(query.get("uploadId") ?? "") ? empty(204) : failure(404, "NoSuchUpload");
      case "ListMultipartUploads": {
        const prefix = query.get("prefix") ?? "";
        const found = [...this.uploads].filter(([, one]) => one.key.startsWith(prefix));
        const list = found.map(
          ([id, one]) =>
            `<Upload><Key>${xmlText(one.key)}</Key><UploadId>${id}</UploadId><Initiated>${time(one.at)}</Initiated></Upload>`,
        );
        return xml(
          `<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>${list.join("")}</ListMultipartUploadsResult>`,
        );
      }
      case "ListObjects":
        return this.#list(query);
      case "DeleteObject":
        this.objects.delete(key);
        return empty(204);
      default: {
        const object = this.objects.get(key);
        if (!object) return failure(404, "NoSuchKey");
        const headers = { etag: `"${object.etag}"`, "last-modified": new Date(object.at).toUTCString() };
        return {
          status: 200,
          headers,
          body: op === "HeadObject" ? Buffer.alloc(0) : object.body,
          length: object.body.length,
        };
      }
    }
  }

  #complete(id: string, upload: MultipartUpload, body: Buffer): Answer {
    const numbers = [...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].map((match) => Number(match[1]));
    const parts = numbers.map((number) => upload.parts.get(number));
    if (parts.length === 0 || parts.some((one) => one === undefined)) return failure(400, "InvalidPart");
    const md5 = createHash("md5");
    for (const one of parts) md5.update(Buffer.from(one?.etag ?? "", "hex"));
    const whole = Buffer.concat(parts.map((one) => one?.body ?? Buffer.alloc(0)));
    const etag = `${md5.digest("hex")}-${parts.length}`;
    this.objects.set(upload.key, { body: whole, etag, at: Date.now() + this.ageMs });
    this.uploads.delete(id);
    return xml(`<CompleteMultipartUploadResult><ETag>"${etag}"</ETag></CompleteMultipartUploadResult>`);
  }

  /** In pages of three, so that whoever does not turn the page is found out. */
  #list(query: URLSearchParams): Answer {
    const after = query.get("continuation-token") ?? "";
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(query.get("prefix") ?? "") && key > after);
    const page = keys.sort().slice(0, 3);
    const more = keys.length > page.length;
    const list = page.map((key) => {
      const object = this.objects.get(key);
      return `<Contents><Key>${xmlText(key)}</Key><Size>${object?.body.length}</Size><LastModified>${time(object?.at ?? 0)}</LastModified></Contents>`;
    });
    const next = more ? `<NextContinuationToken>${xmlText(page.at(-1) ?? "")}</NextContinuationToken>` : "";
    return xml(`<ListBucketResult><IsTruncated>${more}</IsTruncated>${next}${list.join("")}</ListBucketResult>`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
  readonly length?: number;
}

function operation(method: string, key: string, query: URLSearchParams): string {
  if (key === "") return query.has("uploads") ? "ListMultipartUploads" : "ListObjects";
  if (method === "POST") return query.has("uploads") ? "CreateMultipartUpload" : "CompleteMultipartUpload";
  if (method === "PUT") return query.has("partNumber") ? "UploadPart" : "PutObject";
  if (method === "DELETE") return query.has("uploadId") ? "AbortMultipartUpload" : "DeleteObject";
  return method === "HEAD" ? "HeadObject" : "GetObject";
}

/** The whole body; null when the connection was, or is to be, cut within it. */
async function readBody(message: IncomingMessage, cut: boolean): Promise<Buffer | null> {
  const half = Number(message.headers["content-length"] ?? 0) / 2;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (cut && bytes >= half) message.socket.resetAndDestroy();
  }
  if (cut) message.socket.resetAndDestroy();
  return cut ? null : Buffer.concat(chunks);
}

const time = (ms: number) => new Date(ms).toISOString();
const xmlText = (text: string) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
const empty = (status: number): Answer => ({ status, headers: {}, body: Buffer.alloc(0) });

function xml(text: string, status = 200): Answer {
  const body = Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>${text}`);
  return { status, headers: { "content-type": "application/xml" }, body };
}

const failure = (status: number, code: string) =>
  xml(`<Error><Code>${code}</Code><Message>${code}</Message></Error>`, status);

function sendError(response: ServerResponse, status: number, code: string): void {
  const { headers, body } = failure(status, code);
  response.writeHead(status, headers).end(body);
}
