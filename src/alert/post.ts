import { request as plain } from "node:http";
import { request as secure } from "node:https";
import { TandemError } from "../base/errors.ts";
import { scrub } from "../base/scrub.ts";

/** A request of a target. */
export interface Post {
  readonly url: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

const mostAnswer = 2_000;

/** Sends a body and returns what was answered (`200 ok`); anything but 2xx throws. What it throws never holds the URL, which is a secret. */
export async function post({ url, body, headers, signal }: Post): Promise<string> {
  const { status, text } = await send({ url, body, headers: headers ?? {}, signal });
  const answer = `${status} ${scrub(text).replace(/\s+/g, " ").trim().slice(0, 200)}`.trim();
  if (status >= 200 && status < 300) return answer;
  throw new TandemError("alert_not_sent", `the target answered ${answer}`);
}

function send({ url, body, headers, signal }: Required<Post>): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => reject(notReached(error, signal));
    const options = {
      method: "POST",
      agent: false as const,
      signal,
      headers: { "user-agent": "pg-tandem", "content-length": Buffer.byteLength(body), ...headers },
    };
    const request = (url.startsWith("https:") ? secure : plain)(url, options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      const done = () => resolve({ status: response.statusCode ?? 0, text });
      response.on("error", fail);
      response.on("end", done);
      response.on("data", (part: string) => {
        text += part;
        if (text.length <= mostAnswer) return;
        done();
        response.destroy();
      });
    });
    request.on("error", fail);
    request.end(body);
  });
}

/** Messages of the system may name the host: only their code is told. */
export function notReached(error: unknown, signal: AbortSignal): TandemError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const why = signal.aborted ? "it did not answer in time" : `no connection (${code || "failed"})`;
  return new TandemError("alert_not_sent", `the target was not reached: ${why}`, { cause: error });
}
