import { nodeCheck, type Observation, ok, problem, warning } from "./check.ts";
import { type SequenceState, sequenceStates } from "./sequence-state.ts";

/**
 * Sees sequences whose next number is used already or soon out of bounds, and settings that make several nodes meet.
 * Remedy: `setval`, a wider type, `alter sequence`.
 */
export const sequences = nodeCheck("sequences", "every sequence is past its data and has numbers left", async (node) =>
  (await sequenceStates(node)).flatMap((state) => [...position(state), ...settings(state)]),
);

function position(state: SequenceState): Observation[] {
  const { sequence, table, column, next, furthest, increment, cycle } = state;
  if (next === null) return [ok(`the role may not read sequence ${sequence}`, { table })];
  const room = increment > 0 ? state.highest - next : next - state.lowest;
  const whole = state.highest - state.lowest;
  if (furthest !== null && (furthest - next) * Math.sign(increment) >= 0 && !cycle) {
    return [
      problem(
        `the next insert takes ${next} for "${column}" from ${sequence}, but ${furthest} is there already`,
        `Run: select setval('${sequence.replaceAll("'", "''")}', ${furthest});`,
        { table },
      ),
    ];
  }
  if (room < 0 && !cycle) {
    return [
      problem(`sequence ${sequence} has no number left for "${column}"`, "Change column and sequence to bigint.", {
        table,
      }),
    ];
  }
  if (room < whole / 10) {
    return [
      warning(
        `sequence ${sequence} has ${room} numbers left for "${column}"`,
        "Change column and sequence to bigint.",
        { table },
      ),
    ];
  }
  return [];
}

function settings({ sequence, table, cache, cycle, increment }: SequenceState): Observation[] {
  const found: Observation[] = [];
  if (cache > 1) {
    found.push(
      warning(
        `sequence ${sequence} has CACHE ${cache}: a session may hold numbers that another node has used meanwhile`,
        `Run: alter sequence ${sequence} cache 1; or interleave (\`sync.sequences: interleave\`).`,
        { table },
      ),
    );
  }
  if (cycle) {
    found.push(
      warning(
        `sequence ${sequence} is CYCLE: it comes back to numbers in use`,
        `Run: alter sequence ${sequence} no cycle;`,
        { table },
      ),
    );
  }
  if (increment < 0) found.push(ok(`sequence ${sequence} counts down`, { table }));
  return found;
}
