import { createHash } from "node:crypto";
import type { z } from "zod";
import { TandemError } from "../base/errors.ts";

/** The text of a sealed file: a value, and the SHA-256 of its own text without that line. */
export function seal(value: object): string {
  const body = JSON.stringify(value, null, 1);
  const sum = createHash("sha256").update(body).digest("hex");
  return `${body.slice(0, -2)},\n "seal": "${sum}"\n}\n`;
}

/** Reads what `seal` wrote. Any change of any byte is an error with code `backup_damaged`. */
export function unseal<T>(text: string, where: string, form: z.ZodType<T>): T {
  const damaged = (reason: string) => new TandemError("backup_damaged", `${where} ${reason}`);
  const match = /^([\s\S]*),\n "seal": "([0-9a-f]{64})"\n\}\n$/.exec(text);
  const body = `${match?.[1]}\n}`;
  if (!match || createHash("sha256").update(body).digest("hex") !== match[2]) throw damaged("was changed");
  const parsed = form.safeParse(JSON.parse(body));
  if (!parsed.success) throw damaged("is of a form that this version does not know");
  return parsed.data;
}
