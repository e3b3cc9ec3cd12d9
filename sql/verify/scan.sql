-- A table is read in pieces of its storage, each in a transaction of its own, and its rows are put in buckets by a hash of their
-- key: the same bucket on every node, whatever order the node's collation gives keys (glibc and ICU change theirs), and whatever
-- order its rows lie in. Where a row lies does not matter for a sum; a row that nobody writes stays where it is, unless the table is
-- rewritten, which its file's number tells.

-- tandem.verify_overview() -> jsonb
-- {"name" (of this node), "encoding", "tables": describe_tables plus "log", quoted, and "policy"}. Errors: those of check_identity.
create or replace function tandem.verify_overview() returns jsonb
language plpgsql as $$
begin
  perform tandem.check_identity();
  return (select jsonb_build_object('name', (select name from tandem.local_node), 'encoding', getdatabaseencoding(),
      'tables', coalesce(jsonb_agg(e || jsonb_build_object('log', format('tandem_log.%I', t.entries_name), 'policy', t.conflict_policy) order by i), '[]'))
    from jsonb_array_elements(tandem.describe_tables()) with ordinality x (e, i)
    join tandem.tracked_table t on t.table_id = (e ->> 'id')::integer and t.schema_name <> 'tandem');
end $$;
comment on function tandem.verify_overview() is 'What verify must know of a node.';

-- tandem.verify_extent(p_table_id) -> jsonb
-- Where a table's rows lie now: [{"relation", "file" (changes when it is rewritten), "blocks", "rows" (a guess)}], a partitioned one's in its
-- leaves; blocks is null where rows have no place (a foreign table), such a one is read in one piece.
create or replace function tandem.verify_extent(p_table_id integer) returns jsonb
language sql stable as $$
  select coalesce(jsonb_agg(jsonb_build_object('relation', format('%I.%I', n.nspname, c.relname),
    'file', pg_relation_filenode(c.oid)::text, 'blocks', case when c.relkind = 'r' then z.blocks end,
    'rows', case when c.reltuples > 0 and c.relpages > 0 then c.reltuples / c.relpages * z.blocks else z.blocks * 60 end::bigint)
    order by c.oid), '[]')
  from tandem.tracked_table t
  cross join lateral (select t.relid::regclass as relid where not t.partitioned
    union all select h.relid from pg_partition_tree(t.relid) h where t.partitioned and h.isleaf) l
  join pg_class c on c.oid = l.relid
  join pg_namespace n on n.oid = c.relnamespace
  cross join lateral (select coalesce(pg_relation_size(c.oid), 0) / current_setting('block_size')::integer as blocks) z
  where t.table_id = p_table_id
$$;
comment on function tandem.verify_extent(integer) is 'Where a table''s rows lie.';

-- tandem.verify_piece(p_relation, p_from, p_to) -> text
-- FROM and WHERE of one piece: blocks p_from up to, not including, p_to; null: to the end, wherever that is by now.
create or replace function tandem.verify_piece(p_relation text, p_from bigint, p_to bigint) returns text
language sql immutable as $$
  select format('only %s t where ', p_relation) || concat_ws(' and ',
    case when p_from > 0 then format('t.ctid >= ''(%s,0)''::tid', p_from) else 'true' end,
    case when p_to is not null then format('t.ctid < ''(%s,0)''::tid', p_to) end)
$$;
comment on function tandem.verify_piece(text, bigint, bigint) is 'FROM and WHERE of one piece.';

-- tandem.verify_buckets(p_spec, p_relation, p_from, p_to, p_buckets) -> text
-- Sums of one piece, "bucket,rows,sum 1,sum 2;...", for the buckets that have rows in it. p_buckets: how many there are, a power of
-- two. To be called after the table is locked, in the transaction's first snapshot.
create or replace function tandem.verify_buckets(p_spec jsonb, p_relation text, p_from bigint, p_to bigint, p_buckets integer) returns text
language plpgsql stable as $$
declare
  t tandem.tracked_table;
  v record;
  v_sums text;
begin
  select * into strict t from tandem.tracked_table where table_id = (p_spec ->> 'id')::integer;
  select * into v from tandem.verify_rows(p_spec, t);
  -- Without OFFSET 0 a hash is worked out anew wherever it is named.
  execute format('select string_agg(concat(g.b, '','', g.n, '','', g.x, '','', g.y), '';'')
    from (select r.b, count(*) as n, sum(r.h) as x, sum(hashint8extended(r.h, 2)) as y
      from (select s.b, %s as h from (select %s & %s as b, %s from %s offset 0) s offset 0) r group by r.b) g',
    v.hash, v.bucket, p_buckets - 1, v.parts, tandem.verify_piece(p_relation, p_from, p_to))
  into v_sums;
  return v_sums;
end $$;
comment on function tandem.verify_buckets(jsonb, text, bigint, bigint, integer) is 'Sums of hashes per bucket of one piece of a table.';

-- tandem.verify_keys(p_spec, p_relation, p_from, p_to, p_buckets, p_wanted) -> (key, hash)
-- The rows of one piece that lie in the wanted buckets: p_wanted has a bit for each bucket.
create or replace function tandem.verify_keys(p_spec jsonb, p_relation text, p_from bigint, p_to bigint, p_buckets integer, p_wanted bit varying)
returns table (key text, hash text)
language plpgsql stable as $$
declare
  t tandem.tracked_table;
  v record;
begin
  select * into strict t from tandem.tracked_table where table_id = (p_spec ->> 'id')::integer;
  select * into v from tandem.verify_rows(p_spec, t);
  return query execute format('select s.key, (%s)::text
    from (select to_jsonb(array[%s])::text as key, %s from %s and get_bit($1, (%s & %s)::integer) = 1 offset 0) s',
    v.hash,
    (select string_agg(u || '::text', ', ') from unnest(tandem.columns('t', t.key_columns)) u), v.parts,
    tandem.verify_piece(p_relation, p_from, p_to), v.bucket, p_buckets - 1)
  using p_wanted;
end $$;
comment on function tandem.verify_keys(jsonb, text, bigint, bigint, integer, bit varying) is 'Keys and hashes of the rows in some buckets.';
