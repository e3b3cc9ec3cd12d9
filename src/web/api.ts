import type { Run } from "./types.ts";

/** What the sidecar answered instead of what was asked for. */
export class ApiError extends Error {
  /** Of the answer; 0: there was none. */
  readonly status: number;
  readonly code: string;
  readonly hint: string;

  constructor(status: number, code: string, message: string, hint = "") {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = hint;
  }
}

const tokenKey = "tandem.token";

/** Asks the sidecar that the page came from. The token lives as long as the tab, and only ever in a header. */
export class Api {
  #token = sessionStorage.getItem(tokenKey);
  /** Milliseconds that the sidecar's clock is ahead of the browser's; ages are by the sidecar's. */
  #ahead = 0;

  get token(): string | null {
    return this.#token;
  }

  set token(token: string | null) {
    this.#token = token;
    if (token === null) sessionStorage.removeItem(tokenKey);
    else sessionStorage.setItem(tokenKey, token);
  }

  /** Milliseconds since 1970 by the sidecar's clock. */
  now(): number {
    return Date.now() + this.#ahead;
  }

  /** Sends a request as it is; throws an ApiError where the answer is none. */
  async send(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#token !== null && !headers.has("authorization")) headers.set("authorization", `Bearer ${this.#token}`);
    const request = fetch(path, { ...init, headers, cache: "no-store", credentials: "omit" });
    const response = await request.catch((error: unknown) => {
      throw error instanceof TypeError ? new ApiError(0, "", error.message) : error;
    });
    this.#readClock(response);
    if (response.ok) return response;
    const { error } = (await response.json().catch(() => ({}))) as { error?: Omit<ApiError, "status"> };
    throw new ApiError(
      response.status,
      error?.code ?? "",
      error?.message ?? `${response.status} ${response.statusText}`,
      error?.hint,
    );
  }

  async get<T>(path: string): Promise<T> {
    return (await (await this.send(path)).json()) as T;
  }

  async post<T>(path: string, body: object = {}): Promise<T> {
    const headers = { "content-type": "application/json" };
    return (await (await this.send(path, { method: "POST", headers, body: JSON.stringify(body) })).json()) as T;
  }

  /** Has something done that may take long, and waits until it is; throws an ApiError with what it failed with. */
  async run<T>(path: string, body: object = {}): Promise<T> {
    let run = await this.post<Run>(`${path}?wait=1`, body);
    while (run.state === "running") {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      run = await this.get<Run>(`/api/actions/${run.id}`);
    }
    if (run.error) throw new ApiError(502, run.error.code, run.error.message, run.error.hint);
    return run.result as T;
  }

  // The header has whole seconds: what differs by less is no difference.
  #readClock(response: Response): void {
    const sent = Date.parse(response.headers.get("date") ?? "");
    const ahead = sent - Date.now();
    if (!Number.isNaN(sent)) this.#ahead = Math.abs(ahead) > 3_000 ? ahead : 0;
  }
}
