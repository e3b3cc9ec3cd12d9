import { TandemError } from "../base/errors.ts";
import { ConfigError } from "../config/config-error.ts";

/** An error for `--json`. */
export function errorDocument(error: unknown): object {
  if (error instanceof TandemError) return error.toJSON();
  if (error instanceof ConfigError) return { ...error.toJSON(), hint: new TandemError(error.code, "").hint };
  const message = error instanceof Error ? error.message || error.name : String(error);
  return new TandemError("internal", message).toJSON();
}
