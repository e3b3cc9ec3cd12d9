/**
 * Rows of the model: parents p with a unique value, and children in three tables whose foreign keys cascade, set null or
 * restrict. A key is the table's name and a number, `cc3`.
 */
export type Key = string;

/** A parent's unique value or null; the key of a child's parent or null. */
export type Image = number | string | null;

/** Children's tables, by what their foreign key does when the parent is deleted. */
export const onDelete = { cc: "cascade", cn: "set null", cr: "restrict" } as const;
export type ChildTable = keyof typeof onDelete;
export const childTables = Object.keys(onDelete) as ChildTable[];

export const tableOf = (key: Key): string => key.replace(/\d+$/, "");
export const isParent = (key: Key): boolean => tableOf(key) === "p";
export const actionOf = (child: Key) => onDelete[tableOf(child) as ChildTable];

/** The newest version of a row: versions are totally ordered, by stamp, then by origin. */
export interface Version {
  readonly stamp: number;
  readonly origin: string;
}

/** Of a key with neither row nor entry: older than every version. */
export const none: Version = { stamp: -1, origin: "" };
/** Of a row without an entry. */
export const unknown: Version = { stamp: 0, origin: "" };

export function isNewer(one: Version, other: Version): boolean {
  return one.stamp === other.stamp ? one.origin > other.origin : one.stamp > other.stamp;
}

export function isSame(one: Version, other: Version): boolean {
  return one.stamp === other.stamp && one.origin === other.origin;
}
