import { setTimeout as sleep } from "node:timers/promises";
import { errorLine, TandemError } from "../base/errors.ts";
import { migrate } from "../install/migrate.ts";
import { runSidecar } from "../sidecar/sidecar.ts";
import { type DemoNodes, type NodeName, nodeNames, startNodes } from "./nodes.ts";
import { countShop, createShop, fillShop, shopTables } from "./shop.ts";
import { isAtRest, Observer } from "./traffic.ts";
import { writeForAWhile } from "./traffic-jam.ts";
