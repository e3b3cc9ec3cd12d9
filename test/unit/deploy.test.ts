import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Cron } from "croner";
import { describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { parseCommandLine } from "../../src/cli/parser.ts";
import { loadConfig } from "../../src/config/load.ts";
import { endpoints } from "../../src/http/endpoints.ts";
import { projectRoot, tempFolder } from "../support/child.ts";
import { skipUnless } from "../support/components.ts";

const read = (path: string) => readFileSync(join(projectRoot, path), "utf8");
const dockerfile = read("Dockerfile");
const instruction = (name: string) => new RegExp(`^${name} (.+)$`, "gm");
/** The last of its kind in the Dockerfile counts. */
const last = (name: string) => [...dockerfile.matchAll(instruction(name))].at(-1)?.[1] ?? "";

const variables = {
  DATABASE_URL: "postgres://a@one/db",
  EXTERNAL_DB_URL: "postgres://a@two/db",
  TANDEM_TOKEN: "x".repeat(16),
};
const inContainer = (env: Record<string, string>) => loadConfig({ cwd: projectRoot, file: "deploy/tandem.yaml", env });

/** A command line that the program knows, whole. */
async function expectKnown(argv: readonly string[]): Promise<void> {
  expect(await parseCommandLine(argv, "0"), argv.join(" ")).toHaveProperty("command");
}

/** What people look at whether the sidecar lives: open to everybody. */
function expectOpen(path: string | undefined): void {
  expect(endpoints.find((one) => one.method === "GET" && one.path === path)).toMatchObject({ access: "open" });
}

interface Service {
  readonly command?: string[];
  readonly environment?: Record<string, string>;
  readonly ports?: string[];
  readonly volumes?: string[];
  readonly healthcheck?: object;
  readonly depends_on?: Record<string, { condition: string }>;
}

test("deploy/tandem.yaml is a configuration, and the container keeps its backups where it says", async () => {
  const config = await inContainer(variables);
  expect(config.http.listen).toBe("0.0.0.0:7420");
  expect(config.backup.dir).toBe(join(projectRoot, "deploy", "backups"));
  expect(config.backup.jobs.map(({ name }) => name)).toEqual(["daily"]);
  const names = [...read("deploy/tandem.yaml").matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name);
  expect(names.sort()).toEqual(Object.keys(variables).sort());
});

describe("the Dockerfile", () => {
  test("holds what the package holds, and its build gets what it needs", () => {
    const { files } = JSON.parse(read("package.json")) as { files: string[] };
    const folders = files.filter((file) => !/[.*!]|LICENSE/.test(file));
    const copied = [...dockerfile.matchAll(/^COPY --from=build \/build\/(\S+)/gm)].map(([, path]) => path);
    expect(copied.sort()).toEqual([...folders, "node_modules", "package.json"].sort());
    const ignored = read(".dockerignore").split("\n");
    expect(ignored[0]).toBe("*");
    for (const path of [
      "package.json",
      "package-lock.json",
      "src",
      "sql",
      "migrations",
      "tsconfig.build.json",
      "vite.config.ts",
      "vite.cli.config.ts",
    ])
      expect(ignored).toContain(`!${path}`);
  });

  test("runs the sidecar as nobody special, and asks it whether it lives", async () => {
    expect(last("USER")).toBe("1000:1000");
    expect(JSON.parse(last("ENTRYPOINT"))).toEqual(["tandem"]);
    await expectKnown(JSON.parse(last("CMD")) as string[]);
    expect(last("EXPOSE")).toBe("7420");
    const [, port, path] = /127\.0\.0\.1:(\d+)(\/\w+)/.exec(last("HEALTHCHECK")) ?? [];
    expect(port).toBe("7420");
    expectOpen(path);
  });
});

test("compose.yaml: two databases, and commands, ports and variables that the program knows", async () => {
  const { services, volumes } = parse(read("compose.yaml"), { merge: true }) as {
    services: Record<string, Service>;
    volumes: Record<string, object>;
  };
  const { sidecar, migrate } = services;
  for (const service of [sidecar, migrate]) {
    await expectKnown(service?.command ?? []);
    expect(Object.keys(service?.environment ?? {}).sort()).toEqual(Object.keys(variables).sort());
    expect(service?.volumes).toContain("./deploy/tandem.yaml:/tandem/tandem.yaml:ro");
    expect(service?.volumes).toContain("backups:/tandem/backups");
    // The defaults of the file do: what stands after `:-` is what nobody has set.
    const env = Object.entries(service?.environment ?? {}).map(([name, value]) => [
      name,
      value.replace(/\$\{\w+:-([^}]*)\}/g, "$1"),
    ]);
    const { nodes } = await inContainer(Object.fromEntries(env));
    for (const { url } of nodes) expect(services).toHaveProperty(new URL(url).hostname);
  }
  expect(sidecar?.ports).toEqual(["127.0.0.1:7420:7420"]);
  for (const [name, { depends_on = {}, volumes: mounts = [] }] of Object.entries(services)) {
    for (const [other, { condition }] of Object.entries(depends_on)) {
      expect(services, name).toHaveProperty(other);
      if (condition === "service_healthy") expect(services[other]).toHaveProperty("healthcheck");
    }
    for (const mount of mounts.filter((each) => !each.startsWith(".")))
      expect(volumes).toHaveProperty(mount.split(":")[0]!);
  }
});

test("deploy/kubernetes.yaml: commands, probe, user and variables fit image and program", async () => {
  interface Container {
    readonly name: string;
    readonly args?: string[];
    readonly ports?: { name: string; containerPort: number }[];
    readonly livenessProbe?: { httpGet: { path: string; port: string } };
    readonly volumeMounts?: { name: string; mountPath: string }[];
  }
  interface Pod {
    readonly securityContext: { runAsUser: number; runAsGroup: number };
    readonly initContainers: Container[];
    readonly containers: Container[];
    readonly volumes: { name: string }[];
  }
  interface Part {
    readonly kind: string;
    readonly stringData: Record<string, string>;
    readonly spec: { template: { spec: Pod } };
  }
  const parts = parseAllDocuments(read("deploy/kubernetes.yaml")).map((part) => part.toJS() as Part);
  const of = (kind: string) => parts.find((part) => part.kind === kind);
  const secret = of("Secret")?.stringData ?? {};
  expect(Object.keys(secret).sort()).toEqual(Object.keys(variables).sort());
  await inContainer(secret);
  const { securityContext, initContainers, containers, volumes } = of("Deployment")!.spec.template.spec;
  expect(`${securityContext.runAsUser}:${securityContext.runAsGroup}`).toBe(last("USER"));
  const tandems = [...initContainers, ...containers].filter(({ name }) => name.startsWith("tandem"));
  expect(tandems.map(({ args }) => args)).toEqual([["migrate"], ["run"]]);
  for (const { args = [], volumeMounts = [] } of tandems) {
    await expectKnown(args);
    expect(volumeMounts.map(({ mountPath }) => mountPath)).toContain("/tandem/tandem.yaml");
    for (const { name } of volumeMounts) expect(volumes.map((volume) => volume.name)).toContain(name);
  }
  const sidecar = tandems.at(-1);
  expect(sidecar?.ports).toEqual([{ name: "tandem", containerPort: 7420 }]);
  expect(sidecar?.livenessProbe?.httpGet.port).toBe("tandem");
  expectOpen(sidecar?.livenessProbe?.httpGet.path);
});

describe("deploy/tandem.service", () => {
  const unit = read("deploy/tandem.service");

  test("runs a command of the program, and does not try again what a person must mend", async () => {
    const [, program, argv = ""] = /^ExecStart=(\S+) (.+)$/m.exec(unit) ?? [];
    expect(program).toBe("/usr/local/bin/tandem");
    await expectKnown(argv.split(" "));
    expect(unit).toMatch(/^RestartPreventExitStatus=2$/m);
  });

  test("systemd finds nothing wrong in it", async () => {
    const analyze = skipUnless("systemd-analyze");
    const path = join(await tempFolder(), "tandem.service");
    // The program need not be installed where this is asked.
    await writeFile(path, unit.replace("/usr/local/bin/tandem", process.execPath));
    const { error, stderr } = spawnSync(analyze, ["verify", "--man=no", path], { encoding: "utf8", timeout: 60_000 });
    // It reads other units of the machine too: what it says of this one counts.
    const said = stderr.split("\n").filter((line) => line.includes("tandem.service"));
    expect({ error, said }).toEqual({ error: undefined, said: [] });
  });
});

test("deploy/crontab: schedules that cron knows, of commands that the program knows", async () => {
  const lines = read("deploy/crontab")
    .split("\n")
    .filter((line) => /^[\d*]/.test(line));
  expect(lines).toHaveLength(2);
  const run: string[] = [];
  for (const line of lines) {
    const [, schedule = "", command = ""] = /^((?:\S+\s+){5})tandem\s+cd \S+ && tandem ([^>]+) >/.exec(line) ?? [];
    expect(new Cron(schedule.trim(), { paused: true }).nextRun()).toBeInstanceOf(Date);
    await expectKnown(command.split(" "));
    run.push(command);
  }
  expect(run).toEqual(["sync", "backup create --job daily"]);
});

test("deploy/github-actions.yaml: every job has its schedule, its secrets and a time limit, and runs what the program knows", async () => {
  interface Job {
    readonly if: string;
    readonly "timeout-minutes": number;
    readonly env: Record<string, string>;
    readonly steps: { run?: string; uses?: string }[];
  }
  const { on, jobs } = parse(read("deploy/github-actions.yaml")) as {
    on: { schedule: { cron: string }[] };
    jobs: Record<string, Job>;
  };
  const schedules = on.schedule.map(({ cron }) => cron);
  for (const schedule of schedules) expect(new Cron(schedule, { paused: true }).nextRun()).toBeInstanceOf(Date);
  const run: string[] = [];
  for (const job of Object.values(jobs)) {
    expect(schedules).toContain(/'([^']+)'/.exec(job.if)?.[1]);
    expect(job["timeout-minutes"]).toBeGreaterThan(0);
    for (const [name, value] of Object.entries(job.env)) {
      expect(Object.keys(variables)).toContain(name);
      expect(value).toBe(`\${{ secrets.${name} }}`);
    }
    for (const { run: line = "" } of job.steps) if (line.startsWith("npx tandem ")) run.push(line.slice(11));
  }
  for (const line of run) await expectKnown(line.split(" "));
  expect(run).toEqual(["sync", "backup create --job daily", "backup upload"]);
});
