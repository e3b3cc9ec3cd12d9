import { TandemError } from "../base/errors.ts";
import { registerSecret, scrub } from "../base/scrub.ts";
import type { AlertTarget } from "../config/config.ts";
import { isLoopback } from "../config/listen.ts";
import { notReached } from "./post.ts";

type EmailTarget = Extract<AlertTarget, { kind: "email" }>;

/** Hands in a mail and returns what the server answered. A password goes over the network by TLS only. */
export async function mail(
  { url, from, to }: EmailTarget,
  { subject, text, signal, limitMs }: { subject: string; text: string; signal: AbortSignal; limitMs: number },
): Promise<string> {
  const { protocol, hostname, port, username, password } = new URL(url);
  const secure = protocol === "smtps:";
  const pass = decodeURIComponent(password);
  registerSecret(pass);
  const host = hostname.replace(/^\[|\]$/g, "");
  // Here, for it is needed by few and takes a while to load.
  const { createTransport } = await import("nodemailer");
  const transport = createTransport({
    host,
    port: port === "" ? (secure ? 465 : 587) : Number(port),
    secure,
    requireTLS: !secure && username !== "" && !isLoopback(host),
    ...(username !== "" && { auth: { user: decodeURIComponent(username), pass } }),
    ...{ connectionTimeout: limitMs, greetingTimeout: limitMs, socketTimeout: limitMs, dnsTimeout: limitMs },
    ...{ disableFileAccess: true, disableUrlAccess: true },
  });
  const ended = new Promise<never>((_, reject) => {
    const stop = () => reject(notReached(new Error("ended"), signal));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    const sent = await Promise.race([transport.sendMail({ from, to: [...to], subject, text }), ended]);
    return scrub(sent.response);
  } catch (error) {
    if (error instanceof TandemError) throw error;
    const answer = error instanceof Error && "response" in error ? String(error.response) : "";
    if (answer === "") throw notReached(error, signal);
    throw new TandemError("alert_not_sent", `the server answered ${answer.replace(/\s+/g, " ").slice(0, 200)}`, {
      cause: error,
    });
  } finally {
    transport.close();
  }
}
