/** One message of the frontend/backend protocol, as the client sent it. */
export interface FrontendMessage {
  bytes: Buffer;
  /** Of messages that carry SQL (Query, Parse); else empty. */
  text: string;
  /** The server answers now: a simple query, or the Sync after extended ones. */
  endsCycle: boolean;
}

const sslRequest = 80877103;
const gssRequest = 80877104;
const cancelRequest = 80877102;

/**
 * Parts what a client sends into messages, so that a proxy can stop exactly between two. An encrypted connection is
 * passed on as it comes.
 */
export class FrontendStream {
  #rest: Buffer = Buffer.alloc(0);
  #started = false;
  #opaque = false;

  /** The messages that the chunk completes. */
  *push(chunk: Buffer): Generator<FrontendMessage> {
    if (this.#opaque) {
      yield plain(chunk);
      return;
    }
    this.#rest = this.#rest.length ? Buffer.concat([this.#rest, chunk]) : chunk;
    for (;;) {
      const length = this.#nextLength();
      if (length === undefined || this.#rest.length < length) return;
      const bytes = this.#rest.subarray(0, length);
      this.#rest = this.#rest.subarray(length);
      yield this.#started ? read(bytes) : this.#start(bytes);
      if (this.#opaque && this.#rest.length) {
        yield plain(this.#rest);
        this.#rest = Buffer.alloc(0);
        return;
      }
    }
  }

  /** The first messages have no type byte. A TLS hello begins by 0x16, which no start-up message does. */
  #nextLength(): number | undefined {
    if (!this.#started) {
      if (this.#rest[0] === 0x16) {
        this.#opaque = true;
        return this.#rest.length;
      }
      return this.#rest.length < 4 ? undefined : this.#rest.readInt32BE(0);
    }
    return this.#rest.length < 5 ? undefined : this.#rest.readInt32BE(1) + 1;
  }

  #start(bytes: Buffer): FrontendMessage {
    const code = bytes.length >= 8 ? bytes.readInt32BE(4) : 0;
    this.#started = code !== sslRequest && code !== gssRequest && code !== cancelRequest;
    return plain(bytes);
  }
}

function plain(bytes: Buffer): FrontendMessage {
  return { bytes, text: "", endsCycle: false };
}

function read(bytes: Buffer): FrontendMessage {
  const type = String.fromCharCode(bytes[0] ?? 0);
  const text = type === "Q" || type === "P" ? bytes.toString("utf8", 5) : "";
  return { bytes, text, endsCycle: type === "Q" || type === "S" };
}
