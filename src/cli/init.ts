import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { TandemError } from "../base/errors.ts";
import { defineCommand } from "./command.ts";

/** Writes a first tandem.yaml. It holds names of variables and no URL, and nothing else is touched. */
export const init = defineCommand({
  usage: "init",
  summary: "write a commented tandem.yaml from what is found here",
  options: { force: { type: "boolean", describe: "write over a file that is there" } },
  async run({ force }, { cwd, env, configFile, answer }) {
    const { findEnvironment, renderInitialConfig } = await import("../config/init.ts");
    const { configFileName } = await import("../config/load.ts");
    const name = configFile ?? configFileName;
    const found = await findEnvironment({ cwd, env });
    try {
      await writeFile(resolve(cwd, name), renderInitialConfig(found), { flag: force ? "w" : "wx" });
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : "";
      const [why, hint] =
        code === "EEXIST"
          ? [`${name} is there already`, "`tandem init --force` writes over it."]
          : [`${name} cannot be written (${code})`, "Check the folder and its rights."];
      throw new TandemError("usage", why, { cause: error, hint });
    }
    const variables = found.variables.map((variable) => `  ${variable.name} (${variable.from})`);
    const text = [
      `${name} is written.`,
      ...(variables.length > 0 ? ["Database URLs found:", ...variables] : ["No database URL was found."]),
      "Next: look through it, then run `tandem migrate`.",
    ];
    answer({ file: name, variables: found.variables }, text.join("\n"));
    return 0;
  },
});
