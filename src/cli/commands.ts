import type { Command } from "./command.ts";
import { conflicts } from "./conflicts.ts";
import { init } from "./init.ts";
import { migrate } from "./migrate.ts";
import { parked } from "./parked.ts";
import { pending } from "./pending.ts";
import { run } from "./run.ts";
import { status } from "./status.ts";
import { sync } from "./sync.ts";

/** All commands, in the order of `tandem --help`. */
export const commands: readonly Command[] = [init, migrate, sync, run, status, pending, conflicts, parked];
