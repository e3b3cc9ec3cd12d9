import { listBackups } from "../backup/list.ts";
import { backupOverview } from "../backup/overview.ts";
import { backupList, backupOverview as overviewForm } from "./answers.ts";
import { type Endpoint, endpoint } from "./endpoint.ts";

/** The backups in the folder of this machine. */
export const backupEndpoints: readonly Endpoint[] = [
  endpoint({
    method: "GET",
    path: "/api/backup/status",
    aliases: ["/backup"],
    access: "read",
    summary: "How the backups are: the last, the last proven, what is due, what failed.",
    answer: overviewForm,
    handle: (_, { shared, config, clock }) => shared.get("backup status", () => backupOverview(config, clock)),
  }),
  endpoint({
    method: "GET",
    path: "/api/backups",
    access: "read",
    summary: "All backups, the oldest first; what failed; what is being made.",
    answer: backupList,
    async handle(_, { shared, config }) {
      const { backups, failures, unsealed } = await shared.get("backups", () => listBackups(config.backup.dir));
      return { backups, failures, unsealed };
    },
  }),
];
