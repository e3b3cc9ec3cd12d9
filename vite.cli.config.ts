import { defineConfig } from "vite";

/**
 * The command, with the libraries that every start of it reads made into a few files: hundreds of small ones took a second.
 * What only some commands need stays outside, is loaded by them alone, and so do libraries that look for files of their own.
 */
const inside = ["drizzle-orm", "pg", "pg-copy-streams", "yaml", "yargs", "zod"];

/** What `inside` needs itself: left outside, it would have to be a dependency of this package. */
const inTurn = [
  ...["ansi-regex", "ansi-styles", "cliui", "escalade", "get-caller-file", "get-east-asian-width", "string-width"],
  ...["strip-ansi", "wrap-ansi", "y18n", "yargs-parser", "emoji-regex"],
  ...["pg-connection-string", "pg-int8", "pg-pool", "pg-protocol", "pg-types", "pgpass", "postgres-array"],
  ...["postgres-bytea", "postgres-date", "postgres-interval", "split2", "xtend"],
];

export default defineConfig({
  publicDir: false,
  ssr: { noExternal: [...inside, ...inTurn] },
  build: {
    ssr: "src/cli/main.ts",
    outDir: "dist/cli",
    emptyOutDir: true,
    license: { fileName: "license.md" },
    target: "node20",
    minify: false,
    rolldownOptions: { output: { chunkFileNames: "[name].js" } },
  },
});
