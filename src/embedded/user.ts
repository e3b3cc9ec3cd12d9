import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** Who a server runs as, when it may not be ourselves. */
export interface ServerUser {
  name: string;
  uid: number;
  gid: number;
}

/**
 * The user the servers run as: undefined (ourselves) unless we are root, whom initdb and postgres refuse.
 * It must be named in the password file, since initdb looks its own name up; a free number would not do.
 */
export function serverUser(passwd = "/etc/passwd"): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = parsePasswd(readFileSync(passwd, "utf8"));
  for (const user of users) {
    if (canBecome(user)) return user;
  }
  throw new Error(
    `PostgreSQL refuses to run as root, and none of the ordinary users in ${passwd} can be used; run this as an ordinary user`,
  );
}

/** The ordinary users of a password file, the customary ones for a server first. */
export function parsePasswd(text: string): ServerUser[] {
  const rank = (user: ServerUser) => (user.name === "postgres" ? 0 : user.name === "nobody" ? 1 : 2);
  return text
    .split("\n")
    .map((line) => line.split(":"))
    .map(([name = "", , uid = "", gid = ""]) => ({ name, uid: Number(uid || 0), gid: Number(gid || 0) }))
    .filter((user) => user.name !== "" && user.uid > 0 && user.gid > 0)
    .sort((a, b) => rank(a) - rank(b));
}

/** False in a user namespace that maps too few ids. */
function canBecome(user: ServerUser): boolean {
  return spawnSync("/bin/sh", ["-c", ":"], { uid: user.uid, gid: user.gid, cwd: "/", timeout: 10_000 }).status === 0;
}

/** Whether the user may pass through every folder down to this one, by the mode bits. */
export function mayEnter(folder: string, user: ServerUser | undefined): boolean {
  if (!user) return true;
  for (let path = resolve(folder); ; path = dirname(path)) {
    const { uid, gid, mode } = statSync(path);
    const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0;
    if (((mode >> shift) & 0o1) === 0) return false;
    if (path === dirname(path)) return true;
  }
}
