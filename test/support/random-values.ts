/** A column type with values that have cost somebody data: as texts for `'…'::type`. */
export interface ValueType {
  /** As the coverage names it. */
  readonly kind: string;
  /** As the DDL names it. */
  readonly type: string;
  readonly values: readonly string[];
}

/** What the wide list of types needs in the database first. */
export const typesDdl = `
  create type mood as enum ('sad', 'ok', 'Very Happy');
  create domain positive as integer check (value > 0);
  create domain "Short Word" as varchar(8) check (value <> 'bad');
  create type "Pair" as (n integer, "The Word" text, m numeric);`;

const type = (kind: string, values: readonly string[], name = kind): ValueType => ({ kind, type: name, values });

const texts = [
  "",
  "O'Brien",
  "tab\there",
  "line\nbreak",
  "cr\rlf\r\n",
  "back\\slash",
  "\\N",
  "\\.",
  "😀 ñ ç 漢",
  '"quoted"',
  "null",
  " both ends ",
  "{a,b}",
  "(1,2)",
  "%s %I $1",
];

/** Types of ordinary columns. */
export const columnTypes: readonly ValueType[] = [
  type("smallint", ["0", "-32768", "32767"]),
  type("integer", ["0", "1", "-1", "2147483647", "-2147483648"]),
  type("bigint", ["9007199254740993", "-9223372036854775808", "1"]),
  type("real", ["-0", "NaN", "3.4e38", "0.1", "1e-45"]),
  type("float8", [
    "0",
    "-0",
    "NaN",
    "Infinity",
    "-Infinity",
    "0.1",
    "0.30000000000000004",
    "1.7976931348623157e308",
    "5e-324",
  ]),
  type("numeric", ["1", "1.00", "1.0000", "NaN", "0.0", "-12345678901234567890.123456789", "1e-20"]),
  type("numeric(12,3)", ["1", "-0.001", "123456789.125"]),
  type("text", texts),
  type("varchar", ["ab", "ab ", "äöü", ""], "varchar(20)"),
  type("char", ["ab", "ab   ", "x"], "char(5)"),
  type("char1", ["a", "", "7"], '"char"'),
  type("boolean", ["t", "f"]),
  type("date", ["infinity", "-infinity", "0044-03-15 BC", "2024-02-29", "9999-12-31"]),
  type("timestamptz", [
    "infinity",
    "-infinity",
    "0044-03-15 12:00:00+00 BC",
    "2024-06-30 23:59:59.999999+00",
    "2024-01-01 00:00:00+05:45",
  ]),
  type("timestamp", ["infinity", "1969-12-31 23:59:59.999999", "2024-03-31 02:30:00"]),
  type("time", ["24:00:00", "00:00:00.000001"]),
  type("timetz", ["12:00:00+05:45", "12:00:00-12"]),
  type("interval", ["1 mon", "30 days", "1 day", "24:00:00", "-1 days +02:03:04.000001", "-10 years"]),
  type("bytea", ["\\x", "\\x00ff", "\\xdeadbeef", "\\x5c27090a"]),
  type("json", ['{"b":1, "a":2,  "b":3}', "[1.0, 1.00, 1e2]", "null", ' "x" ', '"\\u0000"']),
  type("jsonb", ['{"a": 1.00, "b": [null]}', "null", '{"a":1.0}', '"\\\\N"']),
  type("integer[]", ["{1,NULL,3}", "[2:4]={1,2,3}", "{}", "{{1,2},{3,4}}", "[0:0][-1:0]={{1,2}}"]),
  type("text[]", ['{"a,b","c\\"d",NULL,"NULL"}', "{}", '{""}', '{"\\\\N","tab\t"}']),
  type("float8[]", ["{-0,NaN,0.1}", "{0,NaN,0.1}"]),
  type("int4range", ["[1,5)", "empty", "(,)", "[3,)"]),
  type("numrange", ["[1.0,2.00)", "[1,2)", "(1,2]", "empty"]),
  type("tstzrange", ['["2024-01-01 00:00:00+00",infinity]', "[,infinity)"]),
  type("enum", ["sad", "ok", "Very Happy"], "mood"),
  type("enum[]", ['{sad,"Very Happy"}', "{}"], "mood[]"),
  type("domain", ["1", "7", "2147483647"], "positive"),
  type("domain2", ["word", "", " x "], '"Short Word"'),
  type("composite", ['(1,"a b",1.00)', "(,,)", '(2,"x""y\\\\z",1)', "(2,,)"], '"Pair"'),
  type("composite[]", ['{"(1,\\"a b\\",1.0)"}', "{}"], '"Pair"[]'),
  type("uuid", ["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
  type("inet", ["10.0.0.1/8", "::1", "10.0.0.1"]),
  type("macaddr", ["08:00:2b:01:02:03"]),
  type("varbit", ["1010", ""]),
  type("bit", ["101", "000"], "bit(3)"),
  type("tsvector", ["'a':1 'b c':2A", ""]),
  type("point", ["(0,-0)", "(NaN,Infinity)"]),
  type("money", ["12.34", "-1.00"]),
];

/** Types of key columns: few values, so that nodes meet in them. */
export const keyTypes: readonly ValueType[] = [
  type("integer", ["1", "2", "3", "4", "5", "6", "7"]),
  type("bigint", ["9007199254740993", "9007199254740992", "1", "2", "-3"]),
  type(
    "uuid",
    [1, 2, 3, 4, 5, 6].map((n) => `a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1${n}`),
  ),
  type("text", ["", "O'Brien", "tab\there", "line\nbreak", "back\\slash", "😀", "\\N", '"q"']),
  type("varchar", ["a", "b", "A", "ä", "z "], "varchar(20)"),
  type("numeric", ["1", "1.00", "1.0", "2", "2.50", "2.5", "3", "4"]),
  type("float8", ["0", "-0", "0.1", "NaN", "0.30000000000000004", "1"]),
  type("char", ["a", "b", "c", "a b"], "char(5)"),
  type("timestamptz", [
    "2024-06-30 23:59:59.999999+00",
    "infinity",
    "0044-03-15 12:00:00+00 BC",
    "2024-01-01 00:00:00+05:45",
  ]),
  type("date", ["2024-02-29", "2024-03-01", "infinity", "0044-03-15 BC"]),
  type("bytea", ["\\x", "\\x00ff", "\\xdeadbeef", "\\x5c27"]),
  type("enum", ["sad", "ok", "Very Happy"], "mood"),
  type("domain", ["1", "2", "3", "4"], "positive"),
  type("interval", ["1 mon", "30 days", "1 day", "24:00:00"]),
];

/** A value as SQL text. */
export function literal(value: string, typeName: string): string {
  return `'${value.replaceAll("'", "''")}'::${typeName}`;
}
