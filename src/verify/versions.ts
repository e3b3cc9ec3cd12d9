/** By stamp, then by origin, as a look gives them (`microseconds origin`); no entry (the empty text) is older than any. */
export function compareVersions(one: string, other: string): number {
  const [stamp = "", origin = ""] = one.split(" ");
  const [otherStamp = "", otherOrigin = ""] = other.split(" ");
  if (stamp === "" || otherStamp === "") return stamp.length - otherStamp.length;
  const [a, b] = [BigInt(stamp), BigInt(otherStamp)];
  if (a !== b) return a < b ? -1 : 1;
  return origin === otherOrigin ? 0 : origin < otherOrigin ? -1 : 1;
}
