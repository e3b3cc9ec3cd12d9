/** What a TypeScript file imports and exports, as far as the house rules ask. */
export interface ModuleShape {
  /** Specifiers of imports, re-exports and dynamic imports, type-only ones too. */
  imports: string[];
  defaultExport: boolean;
  /** Nothing but re-exports. */
  barrel: boolean;
}

/** Reads a module without a compiler: comments, strings, templates and regular expressions are told apart from code. */
export function scanModule(source: string): ModuleShape {
  const { code, strings } = blank(source);
  const imports: string[] = [];
  // every string stands in the code as "number"
  const from = /\b(?:import|export)\b(?:[\w\s{},*$]*?\bfrom)?\s*\(?\s*"(\d+)"/g;
  for (const match of code.matchAll(from)) imports.push(strings[Number(match[1])] ?? "");
  const reexport = /\bexport\s+(?:type\s+)?(?:\*(?:\s+as\s+[\w$]+)?|\{[^}]*\})(?:\s*from\s*"\d+")?\s*;?/g;
  const rest = code
    .replace(reexport, "")
    .replace(/\bimport\b[\w\s{},*$]*?\bfrom\s*"\d+"\s*;?/g, "")
    .trim();
  return {
    imports,
    defaultExport: /\bexport\s+default\b/.test(code) || /\bexport\s*\{[^}]*\bas\s+default\b/.test(code),
    barrel: rest === "" && reexport.test(code),
  };
}

/** The code with comments gone, and each string and template part replaced by its number in quotes. */
function blank(source: string): { code: string; strings: string[] } {
  const strings: string[] = [];
  const keep = (text: string) => `"${strings.push(text) - 1}"`;
  /** Open braces inside each template's `${`, the innermost last. */
  const templates: number[] = [];
  let code = "";
  let i = 0;
  const until = (pattern: RegExp): string => {
    pattern.lastIndex = i;
    const text = pattern.exec(source)?.[0] ?? source.slice(i);
    i += text.length;
    return text;
  };
  /** From just behind a backtick or a closing brace to the template's end or its next expression. */
  const template = () => {
    const text = until(/(?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{)/y);
    code += keep(text.replace(/(?:`|\$\{)$/, ""));
    if (text.endsWith("${")) templates.push(0);
  };
  while (i < source.length) {
    const char = source[i]!;
    const two = source.slice(i, i + 2);
    if (two === "//") until(/[^\n]*/y);
    else if (two === "/*") until(/\/\*[\s\S]*?\*\//y);
    else if (char === '"' || char === "'") {
      const text = until(char === '"' ? /"(?:[^"\\\n]|\\[\s\S])*"/y : /'(?:[^'\\\n]|\\[\s\S])*'/y);
      code += keep(text.slice(1, -1));
    } else if (char === "`") {
      i += 1;
      template();
    } else if (char === "}" && templates.at(-1) === 0) {
      templates.pop();
      i += 1;
      template();
    } else if (char === "/" && beginsRegExp(code)) {
      until(/\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y);
      code += "0";
    } else {
      if (templates.length && char === "{") templates[templates.length - 1]! += 1;
      if (templates.length && char === "}") templates[templates.length - 1]! -= 1;
      code += char;
      i += 1;
    }
  }
  return { code, strings };
}

/** A slash divides after a value, and opens a regular expression elsewhere. */
function beginsRegExp(before: string): boolean {
  const text = before.trimEnd();
  return text === "" || /[(,=:[!&|?{};+\-*%<>~^]$/.test(text) || /\b(?:return|typeof|case|in|of|await)$/.test(text);
}
