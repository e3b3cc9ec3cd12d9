-- tandem.describe_tables(p_tables) -> jsonb
-- What the other end of a link must know of tracked tables (null: of all): id, schema, name, key, and the columns with type and
-- whether they are generated, in the table's order; exactKey: key columns whose equal values are the same bytes. Read in the transaction that reads the rows, after its locks.
create or replace function tandem.describe_tables(p_tables integer[] default null) returns jsonb
language sql stable as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'id', t.table_id, 'schema', t.schema_name, 'name', t.table_name, 'relation', format('%I.%I', t.schema_name, t.table_name),
    'exists', c.oid is not null, 'key', to_jsonb(t.key_columns), 'keyTypes', to_jsonb(t.key_types), 'policy', t.conflict_policy,
    'estimate', greatest(c.reltuples, 0)::bigint, 'exactKey', coalesce((select to_jsonb(array_agg(a.attname)) from pg_attribute a
      where a.attrelid = c.oid and a.attname = any (t.key_columns) and tandem.equal_is_identical(a.atttypid, a.attcollation)), '[]'::jsonb),
    'columns', coalesce((select jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
        'generated', a.attgenerated <> '') order by a.attnum)
      from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]'::jsonb))
    order by t.schema_name collate "C", t.table_name collate "C"), '[]'::jsonb)
  from tandem.tracked_table t
  left join (select c.*, n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace) c
    on c.oid = t.relid and (c.nspname, c.relname) = (t.schema_name, t.table_name)
  where p_tables is null or t.table_id = any (p_tables)
$$;
comment on function tandem.describe_tables(integer[]) is 'Columns and keys of tracked tables.';

-- tandem.equal_is_identical(p_type, p_collation) -> boolean
-- Whether values of a type that are equal have the same bytes: not so for numeric (1 and 1.00), float (-0), char(n), interval, case-
-- insensitive text. A key column of such a type travels as a value too.
create or replace function tandem.equal_is_identical(p_type oid, p_collation oid) returns boolean
language sql stable as $$
  select (tandem.base_type(p_type) in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'uuid'::regtype, 'bool'::regtype, 'bytea'::regtype,
      'date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype, 'oid'::regtype, '"char"'::regtype, 'time'::regtype)
    or (tandem.base_type(p_type) in ('text'::regtype, 'varchar'::regtype, 'name'::regtype)
      and coalesce((select c.collisdeterministic from pg_collation c where c.oid = p_collation), true))
    or exists (select from pg_type t where t.oid = tandem.base_type(p_type) and t.typtype = 'e'))
$$;
comment on function tandem.equal_is_identical(oid, oid) is 'Whether equal values are the same bytes.';
