/** One thing that is wrong: `place` is file:line:column, a variable or the command line; `path` is dotted. */
export interface ConfigFault {
  readonly place: string;
  readonly path: string;
  readonly message: string;
}

/**
 * All faults of a configuration together, so that a file is mended in one go. Its `code` and `hint` have the
 * shape that `errorLine` knows; this folder imports nothing of ours, and so cannot extend TandemError.
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code: "config_invalid" | "same_database";
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[], code: "config_invalid" | "same_database" = "config_invalid") {
    super(render(faults));
    this.faults = faults;
    this.code = code;
  }

  /** For `--json`. */
  toJSON(): Record<string, unknown> {
    return { code: this.code, message: this.message, faults: this.faults };
  }
}

function render(faults: readonly ConfigFault[]): string {
  const lines = faults.map(({ place, path, message }) => {
    const where = [place, path].filter((part) => part !== "").join(" ");
    return where === "" ? message : `${where}: ${message}`;
  });
  return lines.length === 1 ? (lines[0] ?? "") : [`${lines.length} faults`, ...lines].join("\n");
}
