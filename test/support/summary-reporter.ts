import type { Reporter, SerializedError, TestModule } from "vitest/node";

/** Ends the output by one line that a person or a CI reads, and lets nothing be skipped in CI unseen. */
export default class SummaryReporter implements Reporter {
  #line = "0 passed, 1 failed, 0 skipped";

  onInit(): void {
    // printed when all else, the servers' end included, has had its say
    process.once("exit", () => process.stdout.write(`${this.#line}\n`));
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    // an error outside any test (a file that does not load, a rejection nobody saw) fails the run: it counts
    const count = { passed: 0, failed: unhandled.length, skipped: 0, pending: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) count[test.result().state]++;
      count.failed += module.errors().length;
      for (const suite of module.children.allSuites()) count.failed += suite.errors().length;
    }
    // the servers did not start, or no file was found: nothing ran, which is not well
    if (count.failed === 0 && count.passed === 0 && count.skipped === 0) count.failed = 1;
    const skipped = count.skipped + count.pending;
    this.#line = `${count.passed} passed, ${count.failed} failed, ${skipped} skipped`;
    if (process.env.CI === "true" && skipped > 0) {
      process.exitCode = 1;
      process.stderr.write(`${skipped} skipped with CI=true: nothing may be skipped there\n`);
    }
  }
}
