import { type Document, isMap, isPair, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from "yaml";
import { ConfigError, type ConfigFault } from "./config-error.ts";
import type { Environment } from "./environment.ts";
import { redactUrl } from "./url.ts";

/** A path into the file: keys and list positions. */
export type KeyPath = readonly (string | number)[];

/** `nodes.local.url`, `tables[0].name`. */
export function dotted(path: KeyPath): string {
  return path.map((key, index) => (typeof key === "number" ? `[${key}]` : index === 0 ? key : `.${key}`)).join("");
}

/**
 * A parsed file that can say where each of its values stands. Syntax faults stop everything: after one, places
 * and shapes are guesses.
 */
export class SourceMap {
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed;

  constructor(file: string, text: string) {
    this.#file = file;
    // Pretty errors quote the line at fault, and with it a password.
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    const faults = this.#document.errors.map((error) => ({
      place: this.#place(error.pos[0]),
      path: "",
      message: redactUrl(error.message),
    }));
    if (faults.length > 0) throw new ConfigError(faults);
  }

  /** The file's value; null when it is empty. */
  value(): unknown {
    return this.#document.toJS();
  }

  /** The place of a value or, where it is missing, of the nearest thing around it. */
  placeOf(path: KeyPath): string {
    for (let length = path.length; length > 0; length--) {
      const node = this.#document.getIn(path.slice(0, length), true) as Node | undefined;
      if (node?.range) return this.#place(node.range[0]);
    }
    return this.#place(0);
  }

  /** The place of a key itself, for keys that should not be there. */
  placeOfKey(path: KeyPath, key: string): string {
    const parent = path.length === 0 ? this.#document.contents : this.#document.getIn(path, true);
    const pair = isMap(parent) ? parent.items.find((item) => isScalar(item.key) && item.key.value === key) : null;
    return isScalar(pair?.key) && pair.key.range ? this.#place(pair.key.range[0]) : this.placeOf(path);
  }

  /**
   * Puts the environment into every text. `${NAME}` is replaced, `$${NAME}` stands for a literal `${NAME}`. What is
   * put in is never read as YAML again, so a password cannot break the file or become a number.
   */
  expand(env: Environment): ConfigFault[] {
    const faults: ConfigFault[] = [];
    visit(this.#document, {
      Scalar: (position, scalar, ancestors) => {
        // Keys are names of things; only values are expanded.
        if (position === "key" || typeof scalar.value !== "string") return;
        scalar.value = scalar.value.replace(/\$(\$?)\{([^}]*)(\}?)/g, (whole, escaped, name, end) => {
          if (escaped) return whole.slice(1);
          const fault = faultOfReference(name, end, env);
          if (fault === null) return env[name] ?? "";
          faults.push({
            place: this.#place(scalar.range?.[0] ?? 0),
            path: pathOf([...ancestors, scalar]),
            message: fault,
          });
          return whole;
        });
      },
    });
    return faults;
  }

  #place(offset: number): string {
    const { line, col } = this.#lines.linePos(offset);
    return `${this.#file}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
  }
}

function pathOf(chain: readonly unknown[]): string {
  const keys = chain.flatMap((node, index): (string | number)[] => {
    if (isPair(node)) return [String(isScalar(node.key) ? node.key.value : node.key)];
    return isSeq(node) ? [node.items.indexOf(chain[index + 1])] : [];
  });
  return dotted(keys);
}

function faultOfReference(name: string, end: string, env: Environment): string | null {
  if (end === "" || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    return `after \${ come the name of a variable and }; a literal \${ is written $\${`;
  }
  return env[name] ? null : `the environment variable ${name} is not set`;
}
