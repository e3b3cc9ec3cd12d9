import { defineConfig } from "vitest/config";

export default defineConfig({
  // Node 20 has no `using` of its own
  oxc: { target: "node20" },
  test: {
    // What takes as long as one gives it is no part of the usual run.
    include: process.env.SOAK_MINUTES
      ? ["test/property/soak.ts"]
      : process.env.ENDURE_MINUTES
        ? ["test/endure/endure.test.ts"]
        : ["test/{unit,sql,e2e,property,fault}/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    pool: "forks",
    maxWorkers: 3,
    // patience for slow machines, not a measure: what hangs is told by the deadline of what it waits for
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // with TANDEM_TEST_KEEP the servers wait for whoever looks into a failed test's databases
    teardownTimeout: process.env.TANDEM_TEST_KEEP ? 86_400_000 : 60_000,
    reporters: ["default", "./test/support/summary-reporter.ts"],
  },
});
