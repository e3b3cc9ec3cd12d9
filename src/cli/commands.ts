import { alerts } from "./alerts.ts";
import { backup } from "./backup.ts";
import type { Command } from "./command.ts";
import { conflicts } from "./conflicts.ts";
import { demo } from "./demo.ts";
import { doctor } from "./doctor.ts";
import { dropNode } from "./drop-node.ts";
import { init } from "./init.ts";
import { migrate } from "./migrate.ts";
import { parked } from "./parked.ts";
import { pending } from "./pending.ts";
import { rejoin } from "./rejoin.ts";
import { restore } from "./restore.ts";
import { run } from "./run.ts";
import { status } from "./status.ts";
import { sync } from "./sync.ts";
import { uninstall } from "./uninstall.ts";
import { verify } from "./verify.ts";

/** All commands, in the order of `tandem --help`. */
export const commands: readonly Command[] = [
  demo,
  init,
  migrate,
  sync,
  run,
  status,
  pending,
  conflicts,
  parked,
  verify,
  backup,
  restore,
  alerts,
  doctor,
  rejoin,
  dropNode,
  uninstall,
];
