import { z } from "zod";
import type { ConflictRule } from "./config.ts";
import { isCronSchedule } from "./cron.ts";
import { parseDuration } from "./duration.ts";
import { parseListen } from "./listen.ts";
import { parseTablePattern } from "./table-pattern.ts";

/** A duration such as `1s`; milliseconds afterwards. */
export const duration = z.string().transform((text, context) => {
  try {
    return parseDuration(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
    return z.NEVER;
  }
});

/** `off`, or a duration of so many milliseconds or more; `words` are the same for people. */
export function atLeastOrOff(least: number, words: string) {
  const error = `must be ${words} or more, or off`;
  // Told by both: where one form fits but for its size, its own words are those that are told.
  return z.union([z.literal("off"), duration.refine((ms) => ms >= least, { error })], { error });
}

/** A whole number from `min`; digits in a text are taken too, since the environment knows only texts. */
export function wholeNumber(min: number) {
  return z
    .union([z.number(), z.string().regex(/^\d+$/).transform(Number)], { error: "must be a whole number" })
    .refine((value) => Number.isSafeInteger(value) && value >= min, { error: `must be a whole number from ${min}` });
}

/** The name of a node; it becomes part of SQL names, so its length is limited. */
export const nodeName = z.string().regex(/^[a-z][a-z0-9_-]{0,29}$/, {
  error: "must begin with a small letter, then small letters, digits, _ or -, 30 at most",
});

/** A pattern of tables, as written. */
export const tablePattern = z.string().transform((text, context) => {
  if (parseTablePattern(text)) return text.trim();
  const guess = /^[^".\s]+$/.test(text) ? `, for example public.${text}` : "";
  context.addIssue({ code: "custom", message: `must be schema.table or schema.*${guess}` });
  return z.NEVER;
});

/** `newest`, `prefer: node`, or the same as a mapping. */
export const conflictRule = z.unknown().transform((value, context): ConflictRule => {
  if (value === undefined || value === "newest") return "newest";
  const text = typeof value === "object" && value !== null && "prefer" in value ? `prefer: ${value.prefer}` : value;
  const match = typeof text === "string" ? /^prefer:\s*([a-z][a-z0-9_-]*)$/.exec(text) : null;
  if (match) return `prefer: ${match[1]}`;
  context.addIssue({ code: "custom", message: 'must be newest, or "prefer: NODE"' });
  return z.NEVER;
});

/** Five fields of cron. */
export const cronSchedule = z.string().refine(isCronSchedule, {
  error: 'must have five fields as cron has them: minute hour day month weekday, for example "0 3 * * *"',
});

/** A name of the IANA list, as the machine knows it. */
export const timeZone = z.string().refine(isTimeZone, { error: "must be a time zone, for example America/Sao_Paulo" });

function isTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: text });
    return true;
  } catch {
    return false;
  }
}

/** `host:port` to listen on, or `off`. */
export const listenAddress = z.string().refine((text) => text === "off" || parseListen(text) !== null, {
  error: "must be host:port, for example 127.0.0.1:7420, or off",
});

/** The name of a machine, as a `Host` header has it; without its port. */
export const hostName = z.string().regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i, {
  error: "must be the name of a machine, without port",
});

/** Where a service of the S3 protocol listens. A name and password in it would end up in messages. */
export const httpUrl = z.string().refine(isPlainHttpUrl, {
  error: "must be a URL that begins with https:// or http:// and holds no password",
});

/** A URL of the web that may be a secret as a whole. */
export const secretHttpUrl = z.string().refine((text) => hasProtocol(text, ["http:", "https:"]), {
  error: "must be a URL that begins with https:// or http://",
});

/** Where mail is handed in. */
export const smtpUrl = z.string().refine((text) => hasProtocol(text, ["smtp:", "smtps:"]), {
  error: "must be a URL that begins with smtp:// or smtps://, as smtp://user:password@mail.example.com:587",
});

/** `name@host`, or `Name <name@host>`. */
export const mailAddress = z.string().regex(/^([^<>\r\n]*<[^\s<>@,;]+@[^\s<>@,;]+>|[^\s<>@,;]+@[^\s<>@,;]+)$/, {
  error: "must be an address, as ops@example.com",
});

function hasProtocol(text: string, protocols: readonly string[]): boolean {
  try {
    const { protocol, hostname } = new URL(text);
    return protocols.includes(protocol) && hostname !== "";
  } catch {
    return false;
  }
}

function isPlainHttpUrl(text: string): boolean {
  try {
    const { protocol, username, password } = new URL(text);
    return ["http:", "https:"].includes(protocol) && username === "" && password === "";
  } catch {
    return false;
  }
}

/** A public key of age, `age1…`; its own check sum finds what was mistyped, before anything is encrypted for nobody. */
export const ageRecipient = z.string().refine((text) => text.startsWith("age1") && hasBech32Sum(text), {
  error: "must be a public key of age (age1…), whole and as age-keygen has written it",
});

const bech32Letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/** BIP 173. */
function hasBech32Sum(text: string): boolean {
  const split = text.lastIndexOf("1");
  const prefix = [...text.slice(0, split)].map((letter) => letter.charCodeAt(0));
  const data = [...text.slice(split + 1)].map((letter) => bech32Letters.indexOf(letter));
  if (data.length < 7 || data.includes(-1)) return false;
  let sum = 1;
  for (const value of [...prefix.map((code) => code >> 5), 0, ...prefix.map((code) => code & 31), ...data]) {
    const top = sum >> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ value;
    for (const [bit, generator] of [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3].entries())
      if ((top >> bit) & 1) sum ^= generator;
  }
  return sum === 1;
}
