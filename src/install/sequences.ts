import type { Config } from "../config/config.ts";
import type { Connection } from "../db/connection.ts";
import { underInstallLock } from "./lock.ts";
import { interleaving } from "./node-settings.ts";
import { type Patience, patiently } from "./patience.ts";
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
  return await patiently(
    () =>
      underInstallLock(connection, async (tx): Promise<SequenceOutcome> => {
        const [row] = await tx.query(counts);
        if (!wanted && Number(row?.interleaved) === 0) {
          return { mode: modulus > 1 && Number(row?.all) > 0 ? "offered" : "none", changed: 0 };
        }
        const call = wanted ? `tandem.interleave_sequences(${residue}, ${modulus})` : "tandem.restore_sequences()";
        const [answer] = await tx.query(`select ${call} as changed`);
        return { mode: wanted ? "interleaved" : "restored", changed: Number(answer?.changed) };
      }),
    patience,
  );
}
