import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import { afterTest } from "./pg.ts";

/** A request as it came. */
export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A target of alerts that keeps what it is sent. */
export class AlertServer {
  readonly received: Received[] = [];
  /** What it answers; `silent`: nothing, ever. */
  answer: { status: number; text: string } | "silent" = { status: 200, text: "ok" };
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const { url: path = "", headers } = request;
        this.received.push({ path, headers, body: Buffer.concat(parts).toString("utf8") });
        if (this.answer === "silent") return;
        response.writeHead(this.answer.status).end(this.answer.text);
      });
    });
  }

  static async open(): Promise<AlertServer> {
    const server = new AlertServer();
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    afterTest(() => server.close());
    return server;
  }

  url(path: string): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}${path}`;
  }

  /** The events of every message of a webhook, in the order in which they came: `fired parked local:external`. */
  events(path: string): string[] {
    return this.received
      .filter((one) => one.path === path)
      .flatMap(({ body }) => (JSON.parse(body) as { events: { what: string; rule: string; subject: string }[] }).events)
      .map(({ what, rule, subject }) => `${what} ${rule} ${subject}`.trim());
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    if (this.#server.listening) await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
