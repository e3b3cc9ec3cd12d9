import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import type { ServerUser } from "./user.ts";

/**
 * Reads a pipe whose other end only we hold. It closes whatever way we end, kill -9 included; the server is then told
 * to quit, and a temporary folder goes with it. No signal handler of ours can compete with those of the program.
 */
const script = `
read -r _
kill -QUIT "$1" 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do kill -0 "$1" 2>/dev/null || break; sleep 0.25; done
kill -KILL "$1" 2>/dev/null
[ -z "$2" ] || rm -rf -- "$2"
`;

/** A process that ends a server when we end without having stopped it. */
export interface Guard {
  /** The server has ended by itself: nothing is left to watch. */
  dismiss(): void;
}

/** Watches over the process `pid`; `folder` is removed after it, when given. */
export function guardServer(pid: number, options: { user: ServerUser | undefined; folder: string | undefined }): Guard {
  const ids = options.user ? { uid: options.user.uid, gid: options.user.gid } : {};
  // its own process group, as Ctrl-C on a terminal goes to the whole of ours
  const guard: ChildProcess = spawn("/bin/sh", ["-c", script, "tandem-guard", String(pid), options.folder ?? ""], {
    ...ids,
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.on("error", () => {});
  guard.unref();
  (guard.stdin as Socket | null)?.unref();
  return { dismiss: () => void guard.kill("SIGKILL") };
}
