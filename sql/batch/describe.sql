-- tandem.describe_tables(p_tables) -> jsonb
-- What the other end of a link must know of tracked tables (null: of all): id, schema, name, key, and the columns with type, value class and
-- whether they are generated, in the table's order; exactKey: key columns whose equal values are the same bytes; mark: see
-- columns_mark; vanished: counts up where rows may have gone unseen (see sql/capture/vanished.sql). Read in the transaction that reads the rows, after its locks.
create or replace function tandem.describe_tables(p_tables integer[] default null) returns jsonb
language plpgsql stable as $$
begin
  return (
    with described as materialized (
      select t.*, c.oid, c.reltuples from tandem.tracked_table t
      left join (select c.oid, c.relname, c.reltuples, n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace) c
        on c.oid = t.relid and (c.nspname, c.relname) = (t.schema_name, t.table_name)
      where p_tables is null or t.table_id = any (p_tables)),
    -- Each type once: many columns share a few.
    types as materialized (
      select d.atttypid, d.atttypmod, format_type(d.atttypid, d.atttypmod) as name, tandem.value_class(d.atttypid, d.atttypmod) as class
      from (select distinct a.atttypid, a.atttypmod from pg_attribute a join described t on a.attrelid = t.oid
        where a.attnum > 0 and not a.attisdropped) d)
    select coalesce(jsonb_agg(jsonb_build_object(
      'id', t.table_id, 'schema', t.schema_name, 'name', t.table_name, 'relation', format('%I.%I', t.schema_name, t.table_name),
      'exists', t.oid is not null, 'key', to_jsonb(t.key_columns), 'keyTypes', to_jsonb(t.key_types),
      'estimate', greatest(t.reltuples, 0)::bigint, 'exactKey', coalesce((select to_jsonb(array_agg(a.attname)) from pg_attribute a
        where a.attrelid = t.oid and a.attname = any (t.key_columns) and tandem.equal_is_identical(a.atttypid, a.attcollation)), '[]'::jsonb),
      'columns', coalesce((select jsonb_agg(jsonb_build_object('name', a.attname, 'type', y.name, 'valueClass', y.class,
          'generated', a.attgenerated <> '') order by a.attnum)
        from pg_attribute a join types y using (atttypid, atttypmod) where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped), '[]'::jsonb),
      'mark', tandem.columns_mark(t.relid), 'vanished', t.vanished)
      order by t.schema_name collate "C", t.table_name collate "C"), '[]'::jsonb)
    from described t);
end $$;
comment on function tandem.describe_tables(integer[]) is 'Columns and keys of tracked tables.';

-- tandem.columns_mark(p_relid) -> text
-- Changes whenever a column of the table comes, goes or gets another name or type: what was matched before it did must not be written.
create or replace function tandem.columns_mark(p_relid oid) returns text
language plpgsql stable as $$
begin
  return (
    select md5(string_agg(concat_ws(' ', a.attnum, quote_ident(a.attname), a.atttypid, a.atttypmod, a.attgenerated), ',' order by a.attnum))
    from pg_attribute a where a.attrelid = p_relid and a.attnum > 0 and not a.attisdropped);
end $$;
comment on function tandem.columns_mark(oid) is 'Fingerprint of a table''s columns.';

-- tandem.equal_is_identical(p_type, p_collation) -> boolean
-- Whether values of a type that are equal have the same bytes: not so for numeric (1 and 1.00), float (-0), char(n), interval, case-
-- insensitive text. A key column of such a type travels as a value too.
create or replace function tandem.equal_is_identical(p_type oid, p_collation oid) returns boolean
language plpgsql stable as $$
begin
  return (
    select (tandem.base_type(p_type) in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'uuid'::regtype, 'bool'::regtype, 'bytea'::regtype,
        'date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype, 'oid'::regtype, '"char"'::regtype, 'time'::regtype)
      or (tandem.base_type(p_type) in ('text'::regtype, 'varchar'::regtype, 'name'::regtype)
        and coalesce((select c.collisdeterministic from pg_collation c where c.oid = p_collation), true))
      or exists (select from pg_type t where t.oid = tandem.base_type(p_type) and t.typtype = 'e')));
end $$;
comment on function tandem.equal_is_identical(oid, oid) is 'Whether equal values are the same bytes.';
