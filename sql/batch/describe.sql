-- tandem.describe_tables(p_tables) -> jsonb
-- What the other end of a link must know of tracked tables (null: of all): id, schema, name, key, and the columns with type and
-- whether they are generated, in the table's order. Read in the transaction that reads the rows, after its locks.
create or replace function tandem.describe_tables(p_tables integer[] default null) returns jsonb
language sql stable as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'id', t.table_id, 'schema', t.schema_name, 'name', t.table_name, 'relation', format('%I.%I', t.schema_name, t.table_name),
    'exists', c.oid is not null, 'key', to_jsonb(t.key_columns), 'keyTypes', to_jsonb(t.key_types), 'policy', t.conflict_policy,
    'columns', coalesce((select jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
        'generated', a.attgenerated <> '') order by a.attnum)
      from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]'::jsonb))
    order by t.schema_name collate "C", t.table_name collate "C"), '[]'::jsonb)
  from tandem.tracked_table t
  left join pg_class c on c.oid = t.relid and format('%I.%I', t.schema_name, t.table_name) = format('%I.%I', c.relnamespace::regnamespace::text, c.relname)
  where p_tables is null or t.table_id = any (p_tables)
$$;
comment on function tandem.describe_tables(integer[]) is 'Columns and keys of tracked tables.';
