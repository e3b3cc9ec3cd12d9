import { hostname } from "node:os";
import { TandemError } from "../base/errors.ts";
import { defineCommand, type ExitCode, type Session } from "./command.ts";
import { renderTable } from "./table.ts";
import { moment, printable } from "./text.ts";

/** What people are told of, and whether it reaches them. */
export const alerts = defineCommand({
  usage: "alerts [action]",
  summary: "what people are told of at this moment; `test` sends one to each target and says what it answered",
  positionals: {
    action: { type: "string", choices: ["test"], describe: "sends each target a test" },
  },
  options: {
    target: { type: "string", requiresArg: true, describe: "test: only this target" },
  },
  async run({ action, target }, session) {
    if (action === "test") return await test(target, session);
    if (target !== undefined) throw new TandemError("usage", "--target belongs to `tandem alerts test`");
    return await list(session);
  },
});

async function test(target: string | undefined, { loadConfig, signal, answer }: Session): Promise<ExitCode> {
  const config = await loadConfig();
  const { tryTargets } = await import("../alert/try-targets.ts");
  const { systemClock } = await import("../base/time.ts");
  const answers = await tryTargets(config, { clock: systemClock, sender: hostname(), target, signal });
  const rows = answers.map(({ target: name, kind, ok, answer: said }) => [name, kind, ok ? "yes" : "no", said]);
  answer({ targets: answers }, renderTable(["target", "kind", "took it", "answer"], rows));
  return answers.every(({ ok }) => ok) ? 0 : 1;
}

async function list({ loadConfig, signal, answer }: Session): Promise<ExitCode> {
  const config = await loadConfig();
  const { firingAlerts } = await import("../sidecar/alert-store.ts");
  const { alerts: firing, unanswered } = await firingAlerts(config, signal);
  if (unanswered[0] && unanswered.length === config.nodes.length) throw unanswered[0].error;
  const rows = firing.map(({ rule, subject, since, message }) => [rule, subject, moment(since), printable(message)]);
  const text = rows.length === 0 ? "Nothing to tell." : renderTable(["rule", "of", "since (UTC)", "what"], rows);
  answer({ alerts: firing }, text);
  return firing.length === 0 ? 0 : 1;
}
