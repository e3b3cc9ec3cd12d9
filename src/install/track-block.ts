import type { Config, TriggerChoice } from "../config/config.ts";
import { doBlock } from "./do-block.ts";
import { installLock, lockTimeoutMs } from "./lock.ts";
import { interleaving } from "./node-settings.ts";
import { selectionQuery } from "./selection.ts";

/**
 * What a script may do between two tables: `commit`, in psql, so that no table stays locked while the next one is
 * waited for; nothing, where somebody else's transaction is around it.
 */
export type Between = "commit" | "nothing";

/** Repeats `work` until it has its locks: a subtransaction that fails gives back those it had. */
export function patiently(work: string, between: Between): string {
  return `    v_try := 0;
    loop
      begin
        perform pg_advisory_xact_lock(${installLock});
        perform set_config('lock_timeout', '${lockTimeoutMs}ms', true);
${work}
        exit;
      exception when lock_not_available or deadlock_detected then
        v_try := v_try + 1;
        if v_try = 40 then
          raise;
        end if;
      end;
      perform pg_sleep(least(2, 0.1 * v_try));
    end loop;${between === "commit" ? "\n    commit;" : ""}`;
}

/** Declarations for `patiently`. */
export const patientDeclarations = `  v_lock_timeout constant text := current_setting('lock_timeout');
  v_try integer;
  v_row record;`;

/** Puts back what `patiently` set. */
export const patientEnd = "  perform set_config('lock_timeout', v_lock_timeout, true);";

/** The capture of every table that the file and the default rule choose, decided where it runs, and the sequences. */
export function trackBlock(
  config: Config,
  node: string,
  between: Between,
  triggers: TriggerChoice | null = null,
): string {
  const { residue, modulus } = interleaving(config, node);
  const interleave = config.sync.sequences === "interleave" && modulus > 1;
  const sequences = interleave ? `tandem.interleave_sequences(${residue}, ${modulus})` : "tandem.restore_sequences()";
  const body = `${patiently("        perform tandem.watch();", between)}
  for v_row in
  ${selectionQuery(config, triggers)}
  loop
    if v_row.decision not in ('track', 'untrack') then
      raise notice '%.% is not tracked: %', quote_ident(v_row.schema_name), quote_ident(v_row.table_name), v_row.reason;
      continue;
    end if;
${patiently(
  `        if v_row.decision = 'track' then
          perform tandem.track_table(v_row.schema_name, v_row.table_name, v_row.policy, v_row.updated_at);
          perform tandem.choose_triggers(v_row.schema_name, v_row.table_name, v_row.triggers);
        else
          perform tandem.untrack_table(v_row.schema_name, v_row.table_name);
        end if;`,
  between,
)}
  end loop;
${patiently(`        perform ${sequences};`, between)}
${patientEnd}`;
  return `-- Capture on the tables, one at a time.\n${doBlock(patientDeclarations, body)}`;
}
