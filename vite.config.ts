import { defineConfig } from "vite";

/** The page: one script and one style sheet, nothing of them inside the document, so that a strict policy holds. */
export default defineConfig({
  root: "src/web",
  base: "/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../../dist/web",
    emptyOutDir: true,
    license: { fileName: "license.md" },
    assetsInlineLimit: 0,
    modulePreload: false,
    target: ["chrome123", "firefox121", "safari17.5"],
    reportCompressedSize: false,
  },
});
