import { describe, expect, it } from "vitest";
import { TandemError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { Backoff, mendsItself, withRetry } from "../../src/base/retry.ts";
import { type Clock, systemClock } from "../../src/base/time.ts";

class FakeClock implements Clock {
  readonly slept: number[] = [];
  #now = 1_000;

  now(): number {
    return this.#now;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) throw new TandemError("stopped", "stopped");
    this.slept.push(ms);
    this.#now += ms;
  }
}

const lost = () => new TandemError("connection_lost", "gone");

function failing(times: number, error: () => Error = lost) {
  let calls = 0;
  return async (attempt: number) => {
    calls += 1;
    expect(attempt).toBe(calls);
    if (calls <= times) throw error();
    return calls;
  };
}

describe("withRetry", () => {
  it("pauses by the list and returns the first success", async () => {
    const clock = new FakeClock();
    expect(await withRetry(failing(2), { clock, delays: [10, 20, 30] })).toBe(3);
    expect(clock.slept).toEqual([10, 20]);
  });

  it("throws the last error of the operation when the list ends", async () => {
    const clock = new FakeClock();
    await expect(withRetry(failing(9), { clock, delays: [10] })).rejects.toMatchObject({ code: "connection_lost" });
    expect(clock.slept).toEqual([10]);
  });

  it("does not repeat what does not mend itself, nor anything without a plan", async () => {
    const clock = new FakeClock();
    const refused = failing(1, () => new TandemError("wrong_password", "no"));
    await expect(withRetry(refused, { clock, delays: [10] })).rejects.toMatchObject({ code: "wrong_password" });
    await expect(withRetry(failing(1), { clock })).rejects.toMatchObject({ code: "connection_lost" });
    expect(clock.slept).toEqual([]);
  });

  it("makes its last try no later than the deadline", async () => {
    const clock = new FakeClock();
    const backoff = new Backoff({ min: 100, max: 10_000, jitter: 0 });
    await expect(withRetry(failing(99), { clock, backoff, deadline: 1_500 })).rejects.toMatchObject({
      code: "connection_lost",
    });
    expect(clock.slept).toEqual([100, 200, 200]);
    expect(clock.now()).toBe(1_500);
  });

  it("stops at the signal", async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    const work = withRetry(failing(9), {
      clock,
      delays: [1, 1, 1, 1],
      signal: controller.signal,
      onRetry: (_, __, attempt) => attempt === 2 && controller.abort(),
    });
    await expect(work).rejects.toMatchObject({ code: "stopped" });
    await expect(withRetry(failing(0), { clock, signal: controller.signal })).rejects.toMatchObject({
      code: "stopped",
    });
  });

  it("asks the table of codes", () => {
    expect(mendsItself(new TandemError("serialization", ""))).toBe(true);
    expect(mendsItself(new TandemError("identity_mismatch", ""))).toBe(false);
    expect(mendsItself(new Error("connection_lost"))).toBe(false);
  });
});

describe("Backoff", () => {
  it("grows to its limit and begins again", () => {
    const backoff = new Backoff({ min: 20, max: 100, jitter: 0 });
    expect([1, 2, 3, 4, 5].map(() => backoff.next())).toEqual([20, 40, 80, 100, 100]);
    backoff.reset();
    expect(backoff.next()).toBe(20);
  });

  it("leaves the part of its jitter to chance", () => {
    const backoff = new Backoff({ min: 100, max: 100, jitter: 0.5, random: () => 1 });
    expect(backoff.next()).toBe(50);
  });
});

describe("systemClock", () => {
  it("sleeps, and wakes at the signal", async () => {
    await systemClock.sleep(1);
    const controller = new AbortController();
    const asleep = systemClock.sleep(60_000, controller.signal);
    controller.abort();
    await expect(asleep).rejects.toMatchObject({ code: "stopped" });
    await expect(systemClock.sleep(60_000, controller.signal)).rejects.toMatchObject({ code: "stopped" });
  });
});

it("silentLogger says nothing, in its children too", () => {
  expect(silentLogger.child({ link: "a" }).info({}, "x")).toBeUndefined();
});
