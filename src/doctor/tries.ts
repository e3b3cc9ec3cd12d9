import type { DoctorNode } from "./node.ts";

/** What a try came to: `busy` was not tried, for another transaction uses it. */
export interface Tried {
  readonly relid: string;
  /** As SQL writes its name. */
  readonly name: string;
  readonly outcome: "done" | "busy" | "denied" | "failed";
  /** The server's, of what was denied or failed. */
  readonly message: string;
}

// A lock that is not free at once is not waited for in the queue, where the application would wait behind it; a sequence knows no NOWAIT.
const lockTimeout = "20ms";

/**
 * Each in a subtransaction that ends by an error of its own, which gives its locks back at once. `alter sequence` gives the sequence a new
 * file for this transaction, so that setval, which is never rolled back, falls with it; both take a lock that keeps nextval out meanwhile.
 */
const tries = `do $$
declare
  r record;
  v_found jsonb := '[]';
  v_outcome text;
  v_message text;
  v_begun timestamptz := clock_timestamp();
begin
  for r in
    select c.oid, c.oid::regclass as name, q.seqincrement from unnest(current_setting('tandem.doctor_tries')::oid[]) with ordinality o (oid, n)
    join pg_class c using (oid) left join pg_sequence q on q.seqrelid = c.oid order by o.n
  loop
    for i in 1 .. 5 loop
      begin
        if r.seqincrement is not null then
          execute format('alter sequence %s increment by %s', r.name, r.seqincrement);
          execute format('select setval(%L::regclass, last_value, is_called) from %s', r.name, r.name);
        else
          execute format('lock table only %s in share row exclusive mode nowait', r.name);
          execute format('create trigger tandem_doctor_tries after update on %s for each statement execute function suppress_redundant_updates_trigger()', r.name);
          execute format('alter table only %s enable always trigger tandem_doctor_tries', r.name);
        end if;
        raise exception using errcode = 'TD001';
      exception when others then
        v_outcome := case sqlstate when 'TD001' then 'done' when '55P03' then 'busy' when '42501' then 'denied' else 'failed' end;
        v_message := case when v_outcome in ('denied', 'failed') then sqlerrm else '' end;
      end;
      exit when v_outcome <> 'busy' or clock_timestamp() > v_begun + interval '3 seconds';
      perform pg_sleep(0.02);
    end loop;
    v_found := v_found || jsonb_build_object('relid', r.oid::text, 'name', r.name::text, 'outcome', v_outcome, 'message', v_message);
  end loop;
  perform set_config('tandem.doctor_tries', v_found::text, true);
end $$`;

/**
 * Tries on each of these tables to create a trigger that fires always, and on each of these sequences to change and to set it, and takes it
 * back. Holds nothing for longer than that takes, and waits for nobody. The role must own what it is asked to try.
 */
export function tryOn(node: DoctorNode, relids: readonly string[]): Promise<Tried[]> {
  if (relids.length === 0) return Promise.resolve([]);
  return node.attempt(async (tx) => {
    await tx.query(
      `select set_config('lock_timeout', '${lockTimeout}', true), set_config('tandem.doctor_tries', $1, true)`,
      [`{${relids.join(",")}}`],
    );
    await tx.exec(tries);
    const [row] = await tx.query("select current_setting('tandem.doctor_tries') as found");
    return JSON.parse(row?.found ?? "[]") as Tried[];
  });
}
