import { listed, type Observation, problem, warning } from "./check.ts";
import type { ColumnShape, NodeShape, TableShape, TypeShape } from "./shape.ts";

/** Two nodes that are compared; the finding is the second one's. */
interface Pair {
  readonly reference: string;
  readonly node: string;
}

/** What keeps rows of one from being rows of the other; `there` tells of tables that exist but are not tracked. */
export function differences(
  reference: NodeShape,
  other: NodeShape,
  there: (node: string, label: string) => string | null,
): Observation[] {
  const pair = { reference: reference.node, node: other.node };
  const labels = [...new Set([...reference.tables.keys(), ...other.tables.keys()])].sort();
  const tables = labels.flatMap((label) => {
    const [a, b] = [reference.tables.get(label), other.tables.get(label)];
    if (a && b) return [...columnDifferences(a, b, pair), ...constraintDifferences(a, b, pair)];
    const lacks = a ? other.node : reference.node;
    return [missing(label, lacks, there(lacks, label))];
  });
  return [...tables, ...typeDifferences(reference, other)];
}

const alike = "Bring the table to the same shape on both sides, or exclude it.";

/** Names no other node: of several the same is told once. */
function missing(table: string, node: string, reason: string | null): Observation {
  const place = { node, table };
  if (reason !== null) return problem(`is tracked in other nodes, but here it ${reason}`, alike, place);
  return problem(
    "is missing here; other nodes have it",
    "Create it as it is there (pg_dump --schema-only --table …), or exclude it.",
    place,
  );
}

function columnDifferences(a: TableShape, b: TableShape, { reference, node }: Pair): Observation[] {
  const place = { node, table: b.label };
  const found: Observation[] = [];
  if (a.key.join("\0") !== b.key.join("\0")) {
    found.push(problem(`its key is (${b.key.join(", ")}); in ${reference} it is (${a.key.join(", ")})`, alike, place));
  }
  const [one, two] = [byName(a.columns), byName(b.columns)];
  const absent = a.columns.filter(({ name }) => !two.has(name)).map(({ name }) => name);
  const extra = b.columns.filter(({ name }) => !one.has(name)).map(({ name }) => name);
  const parked = "rows with a value there are parked";
  if (absent.length > 0)
    found.push(problem(`lacks ${listed(absent)}, which ${reference} has: ${parked}`, alike, place));
  if (extra.length > 0) found.push(problem(`has ${listed(extra)}, which ${reference} lacks: ${parked}`, alike, place));
  for (const column of b.columns) {
    const other = one.get(column.name);
    if (other) found.push(...oneColumn(other, column, { reference, node }, b.label));
  }
  return found;
}

function byName(columns: readonly ColumnShape[]): ReadonlyMap<string, ColumnShape> {
  return new Map(columns.map((column) => [column.name, column]));
}

function oneColumn(a: ColumnShape, b: ColumnShape, { reference, node }: Pair, table: string): Observation[] {
  const place = { node, table };
  const found: Observation[] = [];
  const say = (severity: typeof problem, what: string, here: string, there: string) =>
    found.push(severity(`column ${b.name}: ${what} ${here}; in ${reference} ${there}`, alike, place));
  if (a.type !== b.type) say(problem, "type", b.type, a.type);
  if (a.generated !== b.generated) say(problem, "generated", b.generated ?? "not", a.generated ?? "not");
  if (a.collation !== b.collation) say(warning, "collation", b.collation ?? "default", a.collation ?? "default");
  if (a.notNull !== b.notNull)
    say(warning, "is", b.notNull ? "not null" : "nullable", a.notNull ? "not null" : "nullable");
  if (a.default !== b.default) say(warning, "default", b.default ?? "none", a.default ?? "none");
  const identities: Readonly<Record<string, string>> = { a: "always", d: "by default" };
  if (a.identity !== b.identity)
    say(warning, "identity", identities[b.identity] ?? "none", identities[a.identity] ?? "none");
  return found;
}

const kinds = [
  ["unique", "unique index"],
  ["check", "check constraint"],
  ["foreignKey", "foreign key"],
] as const;

function constraintDifferences(a: TableShape, b: TableShape, { reference, node }: Pair): Observation[] {
  const refusal = "rows that only one side refuses are parked";
  return kinds.flatMap(([field, words]) => {
    const absent = a[field].filter((text) => !b[field].includes(text));
    const extra = b[field].filter((text) => !a[field].includes(text));
    const say = (verb: string, texts: readonly string[], has: string) =>
      texts.map((text) =>
        warning(`${verb} the ${words} ${text}, which ${reference} ${has}: ${refusal}`, alike, { node, table: b.label }),
      );
    return [...say("lacks", absent, "has"), ...say("has", extra, "lacks")];
  });
}

function typeDifferences(reference: NodeShape, other: NodeShape): Observation[] {
  return [...other.types.values()].flatMap((type) => {
    const there = reference.types.get(type.name);
    return there ? oneType(there, type, { reference: reference.node, node: other.node }) : [];
  });
}

function oneType(a: TypeShape, b: TypeShape, { reference, node }: Pair): Observation[] {
  if (a.kind === b.kind && a.parts.join("\0") === b.parts.join("\0")) return [];
  const place = { node };
  if (a.kind !== "e" || b.kind !== "e") {
    return [
      problem(
        `type ${b.name} is (${b.parts.join(", ")}); in ${reference} it is (${a.parts.join(", ")})`,
        "Alter the type to be the same on both sides.",
        place,
      ),
    ];
  }
  const absent = a.parts.filter((label) => !b.parts.includes(label));
  const extra = b.parts.filter((label) => !a.parts.includes(label));
  if (absent.length + extra.length === 0) {
    return [
      warning(
        `enum ${b.name} has its labels in another order than in ${reference}: it sorts differently`,
        "Create the type anew in the same order.",
        place,
      ),
    ];
  }
  const words = [
    absent.length > 0 && `lacks ${listed(absent)}`,
    extra.length > 0 && `has also ${listed(extra)}`,
  ].filter(Boolean);
  return [
    problem(
      `enum ${b.name} ${words.join(" and ")}, compared with ${reference}: rows with such a label are parked`,
      `Run where they are missing: alter type ${b.name} add value ….`,
      place,
    ),
  ];
}
