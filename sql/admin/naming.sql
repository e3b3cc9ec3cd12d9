-- tandem.object_name(p_prefix, p_schema, p_table) -> name
-- The name of an object of Tandem's that belongs to a user's table: prefix, schema and table, cut to what a name may
-- hold (63 bytes) with a hash in place of the rest; the hash is there too where one of the two has a dot, for "a.b".c is not a."b.c".
-- Same input, same name, on every node.
create or replace function tandem.object_name(p_prefix text, p_schema text, p_table text) returns text
language plpgsql immutable as $$
declare
  v_name text := p_prefix || p_schema || '.' || p_table;
  v_head text := v_name;
begin
  if octet_length(v_name) <= 63 and position('.' in p_schema || p_table) = 0 then
    return v_name;
  end if;
  while octet_length(v_head) > 54 loop
    v_head := left(v_head, -1);
  end loop;
  return v_head || '~' || left(md5(p_prefix || format('%I.%I', p_schema, p_table)), 8);
end $$;
comment on function tandem.object_name(text, text, text) is 'Name of an object of Tandem''s for a user''s table.';

-- tandem.columns(p_alias, p_names) -> text[]
-- Each name quoted and behind the alias: {t."id",t."Name"}.
create or replace function tandem.columns(p_alias text, p_names text[]) returns text[]
language plpgsql immutable as $$
begin
  return (
    select coalesce(array_agg(format('%s.%I', p_alias, u.name) order by u.position), '{}')
    from unnest(p_names) with ordinality u (name, position));
end $$;
comment on function tandem.columns(text, text[]) is 'Quoted column references behind an alias.';

-- tandem.key_names(p_alias, p_count) -> text[]
-- The key columns as log and staging tables name them: {l.k1,l.k2}.
create or replace function tandem.key_names(p_alias text, p_count integer) returns text[]
language plpgsql immutable as $$
begin
  return (
    select array_agg(p_alias || '.k' || i order by i) from generate_series(1, p_count) i);
end $$;
comment on function tandem.key_names(text, integer) is 'References to the key columns of a log or staging table.';

-- tandem.all_equal(p_operators, p_left, p_right) -> text
-- "l1 op r1 and l2 op r2": operators come schema-qualified, because search_path is pinned where this text runs.
create or replace function tandem.all_equal(p_operators text[], p_left text[], p_right text[]) returns text
language plpgsql immutable as $$
begin
  return (
    select string_agg(format('%s %s %s', u.l, u.o, u.r), ' and ' order by u.position)
    from unnest(p_operators, p_left, p_right) with ordinality u (o, l, r, position));
end $$;
comment on function tandem.all_equal(text[], text[], text[]) is 'Condition that two lists of expressions are equal one by one.';

-- tandem.same_parked_key(p_table, p_alias, p_names) -> text
-- Condition that a row with schema_name, table_name and key (text[], as parked changes are kept) stands for the key in p_names. Where equal
-- values may be written differently (1 and 1.00, a month and 30 days), the table's own key decides; elsewhere the text, by an index. The casts
-- stand in a CASE, for they would fail on another table's key.
create or replace function tandem.same_parked_key(p_table tandem.tracked_table, p_alias text, p_names text[]) returns text
language plpgsql stable as $$
begin
  return (
    select format('%1$s.schema_name = %2$L and %1$s.table_name = %3$L and %4$s', p_alias, p_table.schema_name, p_table.table_name,
      case when bool_and(x.exact) then format('%s.key = array[%s]', p_alias, string_agg(x.name || '::text', ', ' order by x.i))
      else format('case when %1$s.schema_name = %2$L and %1$s.table_name = %3$L and cardinality(%1$s.key) = %4$s then %5$s else false end',
        p_alias, p_table.schema_name, p_table.table_name, count(*),
        tandem.all_equal(p_table.key_operators, array_agg(format('%s.key[%s]::%s', p_alias, x.i, p_table.key_types[x.i]) order by x.i), p_names)) end)
    from (
      select u.i, u.name, coalesce(t.typtype = 'e' or coalesce(c.collisdeterministic, true) and t.oid in ('int2'::regtype, 'int4'::regtype,
        'int8'::regtype, 'oid'::regtype, 'text'::regtype, 'varchar'::regtype, 'name'::regtype, 'uuid'::regtype, 'bool'::regtype,
        'bytea'::regtype, 'date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype), false) as exact
      from unnest(p_table.key_columns, p_names) with ordinality u (key_column, name, i)
      left join pg_attribute a on a.attrelid = p_table.relid and a.attname = u.key_column and not a.attisdropped
      left join pg_collation c on c.oid = a.attcollation
      left join pg_type t on t.oid = tandem.base_type(a.atttypid)) x);
end $$;
comment on function tandem.same_parked_key(tandem.tracked_table, text, text[]) is 'Condition that a parked change is of this key.';

-- tandem.key_text(p_key) -> text
-- A key as people write it: the value itself, or for several columns all of them as an array.
create or replace function tandem.key_text(p_key text[]) returns text
language sql immutable as $$
  select case cardinality(p_key) when 1 then p_key[1] else p_key::text end
$$;
comment on function tandem.key_text(text[]) is 'A key for people to read.';

-- tandem.text_of(p_expression) -> text
-- An expression for a value as its type's output function writes it, null for null: a cast to text may be somebody's own, and takes
-- the trailing blanks from char.
create or replace function tandem.text_of(p_expression text) returns text
language sql immutable as $$
  select format('case when %1$s is distinct from null then concat(%1$s) end', p_expression)
$$;
comment on function tandem.text_of(text) is 'Expression for a value as its type writes it.';

-- tandem.comment_on(p_object, p_catalog) -> text
-- The comment on an object; null without one. As obj_description, which is planned anew at every call.
create or replace function tandem.comment_on(p_object oid, p_catalog regclass) returns text
language plpgsql stable as $$
begin
  return (select d.description from pg_description d where d.objoid = p_object and d.classoid = p_catalog and d.objsubid = 0);
end $$;
comment on function tandem.comment_on(oid, regclass) is 'The comment on an object.';
