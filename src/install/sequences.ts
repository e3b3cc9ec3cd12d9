import type { Config } from "../config/config.ts";
import type { Connection } from "../db/connection.ts";
import { underInstallLock } from "./lock.ts";
import { interleaving } from "./node-settings.ts";
import { eachWithPatience, type Patience } from "./patience.ts";
import type { SequenceOutcome } from "./report.ts";

const counts = `
  select (select count(*) from tandem.interleaved_sequence) as interleaved,
    (select count(distinct s.sequence) from tandem.tracked_table t, tandem.sequences_of(t.table_id) s) as all`;

/** Interleaves the sequences of tracked tables, or takes that back where the file does not ask for it any more. */
export async function arrangeSequences(
  connection: Connection,
  config: Config,
  patience: Patience,
): Promise<SequenceOutcome> {
  const { residue, modulus } = interleaving(config, connection.node);
  const wanted = config.sync.sequences === "interleave" && modulus > 1;
  let outcome: SequenceOutcome = { mode: "none", changed: 0 };
  const late = await eachWithPatience(
    ["sequences"],
    () =>
      underInstallLock(connection, async (tx) => {
        const [row] = await tx.query(counts);
        const interleaved = Number(row?.interleaved);
        const call = wanted ? `tandem.interleave_sequences(${residue}, ${modulus})` : "tandem.restore_sequences()";
        if (!wanted && interleaved === 0) {
          outcome = { mode: modulus > 1 && Number(row?.all) > 0 ? "offered" : "none", changed: 0 };
          return;
        }
        const [answer] = await tx.query(`select ${call} as changed`);
        outcome = { mode: wanted ? "interleaved" : "restored", changed: Number(answer?.changed) };
      }),
    patience,
  );
  for (const error of late.values()) throw error;
  return outcome;
}
