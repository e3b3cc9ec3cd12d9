import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "./child.ts";

/** One fenced block of a document. */
export interface Block {
  readonly language: string;
  readonly text: string;
}

/** A heading and what stands below it, down to the next heading. */
export interface Section {
  readonly level: number;
  readonly title: string;
  readonly blocks: readonly Block[];
}

/** The text of a document, by its path from the project's top. */
export function document(path: string): string {
  return readFileSync(join(projectRoot, path), "utf8");
}

/** The document, section by section; what stands before the first heading belongs to none. */
export function sections(text: string): Section[] {
  const found: { level: number; title: string; blocks: Block[] }[] = [];
  let open: { language: string; lines: string[] } | null = null;
  for (const line of text.split("\n")) {
    const fence = /^```(\w*)$/.exec(line);
    const heading = open ? null : /^(#+) (.+)$/.exec(line);
    if (open && fence) {
      found.at(-1)?.blocks.push({ language: open.language, text: `${open.lines.join("\n")}\n` });
      open = null;
    } else if (open) open.lines.push(line);
    else if (fence) open = { language: fence[1] ?? "", lines: [] };
    else if (heading) found.push({ level: heading[1]?.length ?? 0, title: heading[2] ?? "", blocks: [] });
  }
  if (open) throw new Error(`a block of ${open.language} is not closed`);
  return found;
}

/** All blocks of one language. */
export function blocksOf(text: string, language: string): string[] {
  return sections(text).flatMap(({ blocks }) =>
    blocks.filter((one) => one.language === language).map((one) => one.text),
  );
}
