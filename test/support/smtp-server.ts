import { createServer, type Server, type Socket } from "node:net";
import { afterTest } from "./pg.ts";

/** A mail as it was handed in. */
export interface Mail {
  readonly user: string | null;
  readonly from: string;
  readonly to: readonly string[];
  /** Head and body, as they came. */
  readonly text: string;
}

/** A mail server that keeps what it is given; with a user, only from who logs in. */
export class SmtpServer {
  readonly mails: Mail[] = [];
  /** Answered to the next recipients instead of 250. */
  refusal: string | null = null;
  readonly #login: { user: string; password: string } | null;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(login: { user: string; password: string } | null) {
    this.#login = login;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async open(login: { user: string; password: string } | null = null): Promise<SmtpServer> {
    const server = new SmtpServer(login);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    afterTest(() => server.close());
    return server;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {});
    const say = (line: string) => socket.write(`${line}\r\n`);
    let user: string | null = null;
    let from = "";
    let to: string[] = [];
    let data: string[] | null = null;
    let rest = "";
    const onLine = (line: string) => {
      if (data !== null) {
        if (line !== ".") return void data.push(line.replace(/^\./, ""));
        this.mails.push({ user, from, to, text: data.join("\n") });
        data = null;
        return say("250 kept");
      }
      const [, verb = "", argument = ""] = /^(\S+)\s*(.*)$/.exec(line) ?? [];
      switch (verb.toUpperCase()) {
        case "EHLO":
          say("250-test");
          return say("250 AUTH PLAIN");
        case "AUTH": {
          const [, name = "", password = ""] = Buffer.from(argument.split(" ")[1] ?? "", "base64")
            .toString("utf8")
            .split("\0");
          const fits = name === this.#login?.user && password === this.#login.password;
          if (fits) user = name;
          return say(fits ? "235 welcome" : `535 no such login: ${password}`);
        }
        case "MAIL":
          from = /<([^>]*)>/.exec(argument)?.[1] ?? "";
          to = [];
          return say(this.#login && user === null ? "530 log in first" : "250 ok");
        case "RCPT":
          if (this.refusal !== null) return say(this.refusal);
          to = [...to, /<([^>]*)>/.exec(argument)?.[1] ?? ""];
          return say("250 ok");
        case "DATA":
          data = [];
          return say("354 go on");
        case "STARTTLS":
          return say("502 not here");
        case "QUIT":
          say("221 bye");
          return void socket.end();
        default:
          return say("250 ok");
      }
    };
    socket.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\r\n");
      rest = lines.pop() ?? "";
      for (const line of lines) onLine(line);
    });
    say("220 test");
  }
}
