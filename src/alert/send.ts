import { createHmac } from "node:crypto";
import { registerSecret } from "../base/scrub.ts";
import type { Clock } from "../base/time.ts";
import type { AlertTarget } from "../config/config.ts";
import { mail } from "./email.ts";
import type { AlertEvent } from "./event.ts";
import { documentOf, sorted, textOf, titleOf } from "./message.ts";
import { post } from "./post.ts";

/** What sending takes. */
export interface SendOptions {
  readonly clock: Clock;
  /** Which sidecar tells it. */
  readonly sender: string;
  /** Ends a try; without it the limit of ten seconds does. */
  readonly signal?: AbortSignal | undefined;
}

/** How long a target may take to answer, in milliseconds. */
export const limitMs = 10_000;

const discordLimit = 2_000;
const slackLimit = 30_000;

/** A part of a URL that is a secret must not come back in the words of whoever answers. */
export function hideTarget(target: AlertTarget): void {
  registerSecret(target.url);
  const { pathname, search, password } = new URL(target.url);
  registerSecret(decodeURIComponent(password));
  // Not words such as `services`, which stand in messages.
  const parts = [...pathname.split("/"), ...search.slice(1).split(/[&=]/)];
  for (const part of parts) if (/\d/.test(part) || part.length >= 16) registerSecret(part);
  if (target.kind === "webhook") registerSecret(target.secret);
}

/**
 * Tells one target, in one message, and returns what it answered. Throws `alert_not_sent` where it did not take it, or not in time. A dead
 * man's switch takes it as a failure while anything holds, and else as a sign of life.
 */
export async function send(target: AlertTarget, events: readonly AlertEvent[], options: SendOptions): Promise<string> {
  hideTarget(target);
  const limit = AbortSignal.timeout(limitMs);
  const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit;
  const list = sorted(events);
  const { url } = target;
  switch (target.kind) {
    case "webhook": {
      const body = JSON.stringify(documentOf(list, options.sender));
      const seconds = Math.floor(options.clock.now() / 1_000);
      const id = list[0]?.id ?? "";
      const headers = {
        "content-type": "application/json",
        "tandem-event": id,
        "tandem-signature": signatureOf(target.secret, seconds, body),
      };
      return await post({ url, body, headers, signal });
    }
    case "slack": {
      // What Slack reads as a link or a mention.
      const text = textOf(list).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
      return await post({ url, body: JSON.stringify({ text: cut(text, slackLimit) }), headers: json, signal });
    }
    case "discord": {
      const document = { content: cut(textOf(list), discordLimit), allowed_mentions: { parse: [] } };
      return await post({ url, body: JSON.stringify(document), headers: json, signal });
    }
    case "email":
      return await mail(target, { subject: titleOf(list), text: `${textOf(list)}\n`, signal, limitMs });
    case "ping": {
      const fails = list.some(({ what }) => what === "fired" || what === "lasts");
      return await ping(url, fails ? "fail" : "", textOf(list), signal);
    }
  }
}

const json = { "content-type": "application/json" };

/** `t=SECONDS,v1=HEX`: HMAC-SHA256 of `SECONDS.BODY`, so that an old message cannot be sent again as a new one. */
export function signatureOf(secret: string, seconds: number, body: string): string {
  return `t=${seconds},v1=${createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex")}`;
}

/** A sign of life, or of failure, as healthchecks.io takes it: the word goes behind the path. */
export async function ping(
  url: string,
  word: "" | "start" | "fail",
  text: string,
  signal: AbortSignal,
): Promise<string> {
  const where = new URL(url);
  if (word !== "") where.pathname = `${where.pathname.replace(/\/$/, "")}/${word}`;
  return await post({ url: where.href, body: text, headers: { "content-type": "text/plain; charset=utf-8" }, signal });
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
