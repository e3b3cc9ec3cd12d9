import { spawn } from "node:child_process";
import { describe, expect, test } from "vitest";
import { TandemProcess } from "../support/child.ts";
import { seeded, seeds } from "../support/seed.ts";
import { waitFor } from "../support/wait.ts";

function run(script: string): TandemProcess {
  return new TandemProcess(spawn(process.execPath, ["-e", script]), ["-e"]);
}

describe("a command that runs", () => {
  test("is waited for by its lines, and stopped", async () => {
    await using child = run(
      "console.log('one'); process.on('SIGINT', () => process.exit(3)); setTimeout(() => console.error('two 2'), 50); setInterval(() => {}, 9)",
    );
    expect(await child.waitForLine("one")).toBe("one");
    expect(await child.waitForLine(/two \d/)).toBe("two 2");
    expect(child.result).toBeUndefined();
    expect(await child.stop()).toEqual({ code: 3, signal: null, stdout: "one\n", stderr: "two 2\n" });
  });

  test("says what it said when the line does not come", async () => {
    await using child = run("console.error('broken'); process.exitCode = 5");
    await expect(child.waitForLine("ready")).rejects.toThrow(/ended with 5 before the line ready[\s\S]*broken/);
  });

  test("is killed when it does not end in time", async () => {
    await using child = run("setInterval(() => {}, 9)");
    await expect(child.ended(100)).rejects.toThrow("did not end within 100 ms");
    expect(await child.ended()).toMatchObject({ code: null, signal: "SIGKILL" });
  });
});

test("a condition is waited for, and named when it does not come", async () => {
  let asked = 0;
  expect(await waitFor(() => (asked++ > 2 ? asked : null), { every: 1 })).toBe(4);
  expect(await waitFor(() => 0)).toBe(0);
  const never = waitFor(() => Promise.reject(new Error("no server")), { deadlineMs: 20, every: 5, what: "the server" });
  await expect(never).rejects.toThrow("waited 20 ms in vain for: the server");
  await expect(never).rejects.toMatchObject({ cause: { message: "no server" } });
});

test("a seed repeats its choices", () => {
  const draw = (seed: number) => {
    const random = seeded(seed);
    return [random.int(1, 6), random.pick("abc".split("")), random.shuffle([1, 2, 3, 4]), random.fork().next()];
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
  const random = seeded(1);
  const dice = Array.from({ length: 6000 }, () => random.int(1, 6));
  expect(new Set(dice)).toEqual(new Set([1, 2, 3, 4, 5, 6]));
  expect(dice.filter((n) => n === 6).length).toBeGreaterThan(800);
  expect(seeds(3)).toHaveLength(Number(process.env.SEED ? 1 : (process.env.SEEDS ?? 3)));
});
