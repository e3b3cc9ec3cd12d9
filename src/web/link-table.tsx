import { act, type PageContext, usePage } from "./context.ts";
import { linkStateOf } from "./link-state.ts";
import type { Link } from "./types.ts";

/** What the names of two columns mean: in sight, for a finger and the keyboard come to no title. */
function Meanings({ beating }: { readonly beating: boolean }) {
  const { link: said } = usePage().words;
  const meanings = [[said.lag, said.lagSmall], ...(beating ? [[said.heartbeat, said.heartbeatSmall]] : [])];
  return (
    <dl class="small meanings">
      {meanings.map(([name, meaning]) => (
        <div key={name}>
          <dt>{name}</dt> <dd>{meaning}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Each link in a line: what the picture shows, for those who read, and what can be done. */
export function LinkTable() {
  const page = usePage();
  const { store, words, format, now } = page;
  const { link: said } = words;
  const beating = store.status?.links.some(({ heartbeatAt }) => heartbeatAt !== null) ?? false;
  return (
    <>
      <table class="rows">
        <caption class="aside">{words.picture.title}</caption>
        <thead>
          <tr>
            <th scope="col">{said.from}</th>
            <th scope="col">{said.to}</th>
            <th scope="col">{said.state}</th>
            <th scope="col" class="number">
              {said.waiting}
            </th>
            <th scope="col" class="number">
              {said.lag}
            </th>
            {beating && (
              <th scope="col" class="number">
                {said.heartbeat}
              </th>
            )}
            <th scope="col">{said.seen}</th>
            <th scope="col" class="number">
              {said.carried}
            </th>
            <th scope="col">
              <span class="aside">{said.pause}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {store.status?.links.map((link) => {
            const { source, target, pending, oldestPendingMs, lagMs, caughtUpAt, rowsApplied, pausedAt } = link;
            const state = linkStateOf(link, store.links.get(`${source}:${target}`));
            const oldest = pending && oldestPendingMs !== null ? ` · ${format.duration(oldestPendingMs)}` : "";
            return (
              <tr key={`${source}:${target}`}>
                <th scope="row" data-label={said.from}>
                  {source}
                </th>
                <td data-label={said.to}>{target}</td>
                <td data-label={said.state}>
                  <span class={`badge ${toneOf(state)}`}>{said.states[state]}</span>
                </td>
                <td data-label={said.waiting} class="number">
                  {pending === null ? "–" : format.number(pending) + oldest}
                </td>
                <td data-label={said.lag} class="number">
                  {lagMs === null ? "–" : format.took(lagMs)}
                </td>
                {beating && (
                  <td data-label={said.heartbeat} class="number">
                    {link.heartbeatMs === null || link.heartbeatAt === null
                      ? "–"
                      : `${format.took(link.heartbeatMs)} · ${format.ago(link.heartbeatAt, now)}`}
                  </td>
                )}
                <td data-label={said.seen}>{caughtUpAt === null ? "–" : format.ago(caughtUpAt, now)}</td>
                <td data-label={said.carried} class="number">
                  {rowsApplied === null ? "–" : format.number(rowsApplied)}
                </td>
                <td class="does">
                  <button
                    type="button"
                    aria-label={(pausedAt === null ? said.pauseLabel : said.resumeLabel)(source, target)}
                    onClick={() => void setPaused(page, link)}
                  >
                    {pausedAt === null ? said.pause : said.resume}
                  </button>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <Meanings beating={beating} />
    </>
  );
}

function toneOf(state: ReturnType<typeof linkStateOf>): string {
  if (state === "paused" || state === "failing" || state === "unknown") return "amber";
  return state === "inStep" || state === "waiting" ? "good" : "note";
}

function setPaused(page: PageContext, { source, target, pausedAt }: Link): Promise<boolean> {
  const { store } = page;
  const id = [source, target].map(encodeURIComponent).join(":");
  return act(page, async () => {
    await store.api.post(`/api/links/${id}/${pausedAt === null ? "pause" : "resume"}`);
    return ({ link }) => (pausedAt === null ? link.pausedDone : link.resumedDone)(source, target);
  });
}
