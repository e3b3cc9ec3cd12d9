import { describe, expect, test } from "vitest";
import { Board } from "../../src/alert/board.ts";
import type { Condition } from "../../src/alert/event.ts";

const start = Date.parse("2026-11-22T12:00:00Z");
const minute = 60_000;
const hour = 60 * minute;

const parked: Condition = { rule: "parked", subject: "a:b", message: "3 rows", remedy: "Look.", afterMs: 0 };
const down: Condition = { rule: "link_down", subject: "b", message: "away", remedy: "Look.", afterMs: 2 * minute };

/** Lets a board see conditions at a minute, and says what a target is owed then, which takes it. */
function at(board: Board, minutes: number, conditions: readonly Condition[], unknown = false): string[] {
  board.update(conditions, { now: start + minutes * minute, repeatMs: 6 * hour, isUnknown: () => unknown });
  return take(board, "chat");
}

function take(board: Board, target: string): string[] {
  const events = board.owed(target);
  board.noteTold(target, events);
  return events.map(({ what, rule, message }) => `${what} ${rule} ${message}`);
}

describe("what people are told of", () => {
  test("a change is told once, what lasts again after its time, with its newest words, and that it is over", () => {
    const board = new Board();
    expect(at(board, 0, [parked])).toEqual(["fired parked 3 rows"]);
    expect(at(board, 1, [parked])).toEqual([]);
    expect(at(board, 359, [{ ...parked, message: "5 rows" }])).toEqual([]);
    expect(at(board, 360, [{ ...parked, message: "7 rows" }])).toEqual(["lasts parked 7 rows"]);
    expect(at(board, 361, [parked])).toEqual([]);
    expect(at(board, 362, [])).toEqual(["cleared parked 7 rows"]);
    expect(at(board, 363, [])).toEqual([]);
    expect(at(board, 364, [parked])).toEqual(["fired parked 3 rows"]);
  });

  test("what has not lasted long enough is told by nobody; its time begins anew when it was gone", () => {
    const board = new Board();
    expect([at(board, 0, [down]), at(board, 1, [down]), at(board, 1.5, []), at(board, 2, [down])]).toEqual([
      [],
      [],
      [],
      [],
    ]);
    expect(at(board, 3.9, [down])).toEqual([]);
    expect(at(board, 4, [down])).toEqual(["fired link_down away"]);
    expect(board.records[0]?.since).toBe("2026-11-22T12:02:00.000Z");
  });

  test("what cannot be known stays as it is", () => {
    const board = new Board();
    at(board, 0, [parked]);
    expect(at(board, 1, [], true)).toEqual([]);
    expect(board.firing).toHaveLength(1);
    expect(at(board, 2, [])).toEqual(["cleared parked 3 rows"]);
  });

  test("each target is owed the newest word on each alert until it has taken it", () => {
    const board = new Board();
    at(board, 0, [parked]);
    expect(board.owed("mail").map(({ what }) => what)).toEqual(["fired"]);
    const [slow] = board.owed("mail");
    at(board, 1, []);
    // what was on its way to a slow one is not what it is owed now
    board.noteTold("mail", slow ? [slow] : []);
    expect(take(board, "mail")).toEqual(["cleared parked 3 rows"]);
    expect(take(board, "mail")).toEqual([]);
  });

  test("kept and taken up again it tells nothing twice and forgets nothing; of two that differ the newest word counts", () => {
    const board = new Board();
    at(board, 0, [parked]);
    const stale = structuredClone(board.records);
    at(board, 1, [parked, { ...parked, subject: "b:a" }]);
    const kept = JSON.parse(JSON.stringify(board.records));
    expect(at(new Board(kept), 2, [parked, { ...parked, subject: "b:a" }])).toEqual([]);
    expect(take(new Board(kept), "mail")).toHaveLength(2);
    at(board, 3, []);
    const both = new Board([...board.records, ...stale]);
    expect(both.firing).toEqual([]);
    expect(at(both, 4, [])).toEqual([]);
    expect(at(new Board([...stale, ...board.records]), 4, [])).toEqual([]);
  });

  test("what another one has told meanwhile is taken up where it is newer, and no word of a node that was away for days", () => {
    const board = new Board();
    at(board, 0, [parked]);
    const mine = structuredClone(board.records);
    const other = new Board(mine);
    at(other, 1, []);
    expect([board.isAheadOf(other.records), other.isAheadOf(board.records)]).toEqual([false, true]);
    expect([board.isAheadOf([]), board.isAheadOf([...other.records, ...mine])]).toEqual([true, false]);
    board.takeUp(other.records, start + 2 * minute);
    expect(board.firing).toEqual([]);
    board.takeUp(mine, start + 2 * minute);
    expect(at(board, 2, [])).toEqual([]);
    const later = new Board();
    later.takeUp(mine, start + 48 * hour);
    expect(later.records).toEqual([]);
  });

  test("a clock that is set back neither silences nor repeats", () => {
    const board = new Board();
    at(board, 0, [parked, down]);
    expect(at(board, -60, [parked, down])).toEqual([]);
    expect(at(board, -58, [parked, down])).toEqual(["fired link_down away"]);
    expect(at(board, -1_000, [parked])).toEqual(["lasts parked 3 rows", "cleared link_down away"]);
  });

  test("what is over is kept for a day, and says when there is something to keep", () => {
    const board = new Board();
    expect(board.takeChanged()).toBe(false);
    at(board, 0, [parked]);
    expect([board.takeChanged(), board.takeChanged()]).toEqual([true, false]);
    at(board, 1, [parked]);
    expect(board.takeChanged()).toBe(false);
    at(board, 2, []);
    expect(board.takeChanged()).toBe(true);
    at(board, 24 * 60, []);
    expect(board.records).toHaveLength(1);
    at(board, 24 * 60 + 3, []);
    expect(board.records).toEqual([]);
    expect(board.takeChanged()).toBe(true);
  });
});
