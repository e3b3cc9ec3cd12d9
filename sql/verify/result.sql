-- tandem.note_verification(p_result) -> void
-- Keeps what a comparison of all nodes has shown: {"asOf", "finishedAt", "nodes", "identical", "tables", "rows", "differing", "diverged"}.
-- Locks: the table against other writers, so that no more than 100 results stay.
create or replace function tandem.note_verification(p_result jsonb) returns void
language plpgsql as $$
begin
  lock table tandem.verification in share row exclusive mode;
  insert into tandem.verification (as_of, finished_at, nodes, identical, tables, rows, differing, diverged)
  select r."asOf", r."finishedAt", r.nodes, r.identical, r.tables, r.rows, r.differing, r.diverged
  from jsonb_to_record(p_result) r ("asOf" timestamptz, "finishedAt" timestamptz, nodes text[], identical boolean, tables integer, rows bigint, differing bigint, diverged bigint);
  delete from tandem.verification where verification_id <= (select max(verification_id) - 100 from tandem.verification);
end $$;
comment on function tandem.note_verification(jsonb) is 'Keeps what a comparison of all nodes has shown.';

-- tandem.last_verification() -> jsonb: the newest result, as note_verification takes it; null before the first.
create or replace function tandem.last_verification() returns jsonb
language sql stable as $$
  select jsonb_build_object('asOf', v.as_of, 'finishedAt', v.finished_at, 'nodes', v.nodes, 'identical', v.identical,
    'tables', v.tables, 'rows', v.rows, 'differing', v.differing, 'diverged', v.diverged)
  from tandem.verification v order by v.as_of desc, v.verification_id desc limit 1
$$;
comment on function tandem.last_verification() is 'What the newest comparison of all nodes has shown.';
