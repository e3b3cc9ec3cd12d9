import { readdir, readFile } from "node:fs/promises";
import { extname } from "node:path";
import type { Logger } from "../base/logger.ts";

/** A file of the page, as it is sent. */
export interface PageFile {
  readonly body: Buffer;
  readonly type: string;
}

/** What the page is made of. */
export interface Page {
  /** Null where it was not built: the package always has it. */
  readonly index: PageFile | null;
  /** By their names, which change with their content. */
  readonly assets: ReadonlyMap<string, PageFile>;
}

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

// Both src/http and dist/http lie two folders below the package's top.
const folder = new URL("../../dist/web/", import.meta.url);

/** Reads the page into memory: what is sent is one of these few files, whatever a path says. */
export async function readPage(logger: Logger): Promise<Page> {
  try {
    const names = await readdir(new URL("assets/", folder));
    const assets = await Promise.all(names.map(async (name) => [name, await readOne(`assets/${name}`)] as const));
    return { index: await readOne("index.html"), assets: new Map(assets) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    logger.warn({}, "the page is not there: it is made by `npm run build`");
    return { index: null, assets: new Map() };
  }
}

async function readOne(path: string): Promise<PageFile> {
  return { body: await readFile(new URL(path, folder)), type: types[extname(path)] ?? "application/octet-stream" };
}
