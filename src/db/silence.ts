import type { Socket } from "node:net";

/** What another look at the server has shown. */
export type Looked = "works" | "gone" | "unknown";

/** How a silent connection is judged. */
export interface SilenceOptions {
  readonly socket: () => Socket;
  /** How long nothing may come before the server is looked at, in milliseconds. */
  readonly silentMs: number;
  /** Looks, by another connection, whether the server still works on that statement. */
  readonly look: (sql: string) => Promise<Looked>;
  /** The network has swallowed the statement or its answer: nothing will ever come. */
  readonly giveUp: () => void;
}

/**
 * Watches over an answer that does not come. A network that has gone silent (a sleeping firewall, a proxy that lost its
 * other half) looks like a server that takes long: TCP notices late, or never. So after a silence the server is asked; a
 * statement that runs may take as long as it wants.
 */
export class SilenceWatch {
  readonly #options: SilenceOptions;
  #timer: NodeJS.Timeout | undefined;
  #watched = 0;

  constructor(options: SilenceOptions) {
    this.#options = options;
  }

  /** An answer is awaited; the function returned is to be called when it has come, or will not. */
  await(sql: string): () => void {
    const one = ++this.#watched;
    this.#arm(one, sql, 0);
    return () => {
      if (one === this.#watched) clearTimeout(this.#timer);
      this.#watched++;
    };
  }

  #arm(one: number, sql: string, misses: number): void {
    const { socket, silentMs } = this.#options;
    const heard = socket().bytesRead;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#check(one, sql, misses, heard), misses > 0 ? silentMs / 3 : silentMs);
    this.#timer.unref();
  }

  /** Gone is believed when seen twice: between the two an answer may have been on its way. */
  async #check(one: number, sql: string, misses: number, heard: number): Promise<void> {
    const { socket, look, giveUp } = this.#options;
    const looked = socket().bytesRead === heard ? await look(sql) : "works";
    if (one !== this.#watched) return;
    const gone = looked === "gone" && socket().bytesRead === heard;
    if (gone && misses > 0) giveUp();
    else this.#arm(one, sql, gone ? misses + 1 : 0);
  }
}
