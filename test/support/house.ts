import { dirname, posix } from "node:path";
import { scanModule } from "./source-scan.ts";

/** The house, top line first: a folder imports only from the lines below its own. */
export const lines: string[][] = [
  ["src/index.ts", "src/cli"],
  ["src/demo", "src/doctor"],
  ["src/library"],
  ["src/web"],
  ["src/http"],
  ["src/sidecar"],
  ["src/alert", "src/backup", "src/verify"],
  ["src/link"],
  ["src/postgres", "src/sqlite"],
  ["src/install"],
  ["src/db", "src/embedded"],
  ["src/config", "src/base"],
];

/** Files by their path from the project's top, as `src/link/round.ts`, with their text. */
export type Sources = ReadonlyMap<string, string>;

/** What is wrong with the modules, a sentence each. */
export function houseFaults(sources: Sources): string[] {
  const graph = importGraph(sources);
  return [...directionFaults(graph), ...pageFaults(sources), ...cycleFaults(graph), ...shapeFaults(sources)];
}

type Graph = Map<string, string[]>;

function importGraph(sources: Sources): Graph {
  const graph: Graph = new Map();
  for (const [file, text] of sources) {
    const own = scanModule(text).imports.filter((specifier) => specifier.startsWith("."));
    graph.set(
      file,
      own.map((specifier) => posix.join(dirname(file), specifier)),
    );
  }
  return graph;
}

function roomOf(file: string): { line: number; room: string } | undefined {
  for (const [line, rooms] of lines.entries()) {
    const room = rooms.find((name) => file === name || file.startsWith(`${name}/`));
    if (room) return { line, room };
  }
  return undefined;
}

function directionFaults(graph: Graph): string[] {
  const faults: string[] = [];
  for (const [file, imports] of graph) {
    const here = roomOf(file);
    if (!here) {
      faults.push(`${file} is in no folder of the house`);
      continue;
    }
    for (const imported of imports) {
      const there = roomOf(imported);
      const missing = !graph.has(imported) && /\.tsx?$/.test(imported);
      if (missing) faults.push(`${file} imports ${imported}, which does not exist`);
      else if (!there) faults.push(`${file} imports ${imported}, which is in no folder of the house`);
      else if (there.room !== here.room && there.line <= here.line && !mayFace(here.room, there.room)) {
        faults.push(`${file} imports ${imported}: ${here.room} stands not above ${there.room}`);
      }
    }
  }
  return faults;
}

/** The page runs in a browser: of the program it knows the forms of answers, as types, and nothing of the program knows it. */
function pageFaults(sources: Sources): string[] {
  const faults: string[] = [];
  for (const [file, text] of sources) {
    const inPage = file.startsWith("src/web/");
    for (const specifier of scanModule(text).imports.filter((name) => name.startsWith("."))) {
      const imported = posix.join(dirname(file), specifier);
      if (inPage === imported.startsWith("src/web/")) continue;
      const types = new RegExp(`import type [^;]*from "${specifier}"`).test(text);
      if (!inPage) faults.push(`${file} imports ${imported}: the page is no part of the program`);
      else if (imported !== "src/http/answers.ts" || !types) {
        faults.push(`${file} imports ${imported}: the page knows only types of src/http/answers.ts`);
      }
    }
  }
  return faults;
}

/** The commands are the library's first user. */
function mayFace(from: string, to: string): boolean {
  return from === "src/cli" && to === "src/index.ts";
}

/** Each cycle once, from its first file in the alphabet. */
function cycleFaults(graph: Graph): string[] {
  const done = new Set<string>();
  const cycles = new Set<string>();
  const visit = (file: string, path: string[]) => {
    const seen = path.indexOf(file);
    if (seen >= 0) {
      const cycle = path.slice(seen);
      const first = cycle.indexOf([...cycle].sort()[0]!);
      cycles.add([...cycle.slice(first), ...cycle.slice(0, first), cycle[first]].join(" → "));
      return;
    }
    if (done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return [...cycles].map((cycle) => `import cycle: ${cycle}`);
}

function shapeFaults(sources: Sources): string[] {
  const faults: string[] = [];
  for (const [file, text] of sources) {
    const shape = scanModule(text);
    if (shape.barrel && file !== "src/index.ts") faults.push(`${file} is a barrel: it only re-exports`);
    if (shape.defaultExport) faults.push(`${file} has a default export`);
  }
  return faults;
}

const topLevel = "src|sql|migrations|test|bench|docs|\\.ci";

/**
 * The paths of this repository that a document names: in backticks, or as words of a fenced block. A star stands for
 * any name; what holds a placeholder (`<name>`) is no path.
 */
export function pathsNamed(markdown: string): string[] {
  const fenced = [...markdown.matchAll(/^```[^\n]*\n([\s\S]*?)^```/gm)].map((match) => match[1] ?? "");
  const prose = markdown.replace(/^```[\s\S]*?^```/gm, "");
  const quoted = [...prose.matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? "");
  const words = [...quoted, ...fenced].flatMap((text) => text.split(/[\s,;()|'"]+/));
  const path = new RegExp(
    `^(?:\\./)?((?:${topLevel})(?:/[\\w.*{},-]*)+|[A-Z][\\w]*\\.md|[\\w.-]+\\.(?:json|yaml|ts))[.:]?$`,
  );
  const names = words.map((word) => path.exec(word.replace(/:\d+$/, ""))?.[1]?.replace(/[.:]$/, ""));
  return [...new Set(names.filter((name) => name !== undefined))];
}
