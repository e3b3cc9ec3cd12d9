import { nodeCheck, type Observation, warning } from "./check.ts";

/**
 * Sees servers where a transaction is read-only unless it says otherwise: Tandem says otherwise, the application does not.
 * Remedy: room on the disk, or the role's setting.
 */
export const writable = nodeCheck("writable", "every server takes writes", async (node): Promise<Observation[]> => {
  const [row] = await node.query(
    "select reset_val as value from pg_settings where name = 'default_transaction_read_only'",
  );
  if (row?.value !== "on") return [];
  return [
    warning(
      "default_transaction_read_only is on for this role or database; a provider sets it when a quota is used up",
      "See whether the disk or plan of the provider is full; else: alter role … reset default_transaction_read_only.",
    ),
  ];
});
