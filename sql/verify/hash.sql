-- How verify hashes a row: a chain over the columns, hash(column n, seed = hash of the columns before it), of 64 bits. It is summed
-- over the rows of a bucket, and so is its own hash, so no order of rows is needed: rows that differ go unseen where two chains are the
-- same, once in 2^64, or where both sums are. Values move from row to row without changing a sum of column hashes; they cannot
-- without changing a sum of chains.
-- hashtextextended and its kin give the same on every server (hash partitioning relies on that, and pg_upgrade on it), on all
-- little-endian machines. Collations have no part: every text is hashed under "C" (under a nondeterministic collation a hash
-- takes 'a' and 'A' for one).

-- tandem.verify_hash(p_relid, p_columns, p_typed, p_portable) -> (parts, chain, direct)
-- parts: select list, from alias t, of what is hashed (c1, c2, ..., m0, ...); chain: expression over it, from alias s;
-- direct: the same from alias t, for a key of few columns. p_typed: columns whose type is the same on every node: for types where equal binary values and equal texts are the
-- same thing, their own hash function spares writing the text. The others are hashed as the text that their output function
-- writes (concat: a cast to text may be somebody's own, and takes trailing blanks from char), under pinned settings.
-- p_portable: the nodes' encodings differ, so texts are compared in UTF-8.
-- Nulls are told from empty values by a mask, 60 columns in one bigint, worked out only where one may be null (IS NULL is true also of
-- a row of nulls, which is none). More than 64 columns become one text: chains nest.
create or replace function tandem.verify_hash(p_relid oid, p_columns text[], p_typed text[], p_portable boolean,
  out parts text, out chain text, out direct text)
language plpgsql stable as $$
declare
  c record;
  v_mask text[] := '{}';
  v_null text[] := '{}';
  v_text text;
  v_hash text;
  v_collate text;
begin
  chain := '1';
  direct := '0';
  if cardinality(p_columns) > 64 then
    v_text := tandem.verify_text(format('row(%s)::text', array_to_string(tandem.columns('t', p_columns), ', ')), p_portable);
    parts := v_text || ' as c1';
    chain := format('hashtextextended(s.c1 collate "C", %s)', chain);
    direct := format('hashtextextended(%s collate "C", %s)', v_text, direct);
    return;
  end if;
  for c in
    select u.i, u.name, case when u.name = any (p_typed) and not p_portable then k.as_type end as as_type, k.zero,
      case when u.name = any (p_typed) and not p_portable then k.hash end as hash
    from unnest(p_columns) with ordinality u (name, i)
    join pg_attribute a on a.attrelid = p_relid and a.attname = u.name and not a.attisdropped
    left join (values ('int2'::regtype, 'int2', '0', 'hashint2extended'), ('int4', 'int4', '0', 'hashint4extended'),
      ('int8', 'int8', '0', 'hashint8extended'), ('bool', 'int4', '0', 'hashint4extended'), ('oid', 'oid', '0', 'hashoidextended'),
      ('uuid', 'uuid', '00000000-0000-0000-0000-000000000000', 'uuid_hash_extended'),
      ('timestamp', 'timestamp', '2000-01-01', 'timestamp_hash_extended'), ('timestamptz', 'timestamp', '2000-01-01', 'timestamp_hash_extended'),
      ('time', 'time', '0:00', 'time_hash_extended'), ('text', 'text', '', 'hashtextextended'), ('varchar', 'text', '', 'hashtextextended'),
      ('name', 'text', '', 'hashtextextended')) k (type, as_type, zero, hash)
      on k.type = tandem.base_type(a.atttypid)::regtype
    order by u.i
  loop
    v_text := case when c.as_type is null then tandem.verify_text(format('concat(t.%I)', c.name), p_portable)
      else format('coalesce(t.%I::%s, %L)', c.name, c.as_type, c.zero) end;
    v_hash := coalesce(c.hash, 'hashtextextended');
    v_collate := case when v_hash = 'hashtextextended' then ' collate "C"' else '' end;
    parts := concat_ws(', ', parts, format('%s as c%s', v_text, c.i));
    chain := format('%s(s.c%s%s, %s)', v_hash, c.i, v_collate, chain);
    direct := format('%s(%s%s, %s)', v_hash, v_text, v_collate, direct);
    v_null := v_null || format('t.%I is null', c.name);
    v_mask := v_mask || format('case when t.%I is not distinct from null then %s::int8 else 0::int8 end', c.name, 1::bigint << (c.i::integer - 1) % 60);
  end loop;
  for i in 0..(cardinality(v_mask) - 1) / 60 loop
    v_text := format('case when %s then %s else 0::int8 end', array_to_string(v_null[i * 60 + 1 : i * 60 + 60], ' or '),
      array_to_string(v_mask[i * 60 + 1 : i * 60 + 60], ' + '));
    parts := parts || format(', %s as m%s', v_text, i);
    chain := format('hashint8extended(s.m%s, %s)', i, chain);
    direct := format('hashint8extended(%s, %s)', v_text, direct);
  end loop;
end $$;
comment on function tandem.verify_hash(oid, text[], text[], boolean) is 'How verify hashes a row.';

-- tandem.verify_text(p_expression, p_portable) -> text: an expression as it is hashed, in UTF-8 where encodings differ.
create or replace function tandem.verify_text(p_expression text, p_portable boolean) returns text
language sql immutable as $$
  select case when p_portable then format('encode(convert_to(%s, ''UTF8''), ''hex'')', p_expression) else p_expression end
$$;
comment on function tandem.verify_text(text, boolean) is 'A text as verify hashes it.';

-- tandem.verify_rows(p_spec, p_table) -> (bucket, parts, hash)
-- How a table's rows are hashed. bucket: hash of the key, from alias t; hash: of the row, over (select parts from ... t offset 0) s.
-- p_spec: {"id" (of the table), "columns" (those that all nodes have), "typed", "portable"}.
create or replace function tandem.verify_rows(p_spec jsonb, p_table tandem.tracked_table,
  out bucket text, out parts text, out hash text)
language sql stable as $$
  select k.direct, r.parts, r.chain
  from (select array(select jsonb_array_elements_text(p_spec -> 'typed')) as typed, (p_spec ->> 'portable')::boolean as portable) s
  cross join lateral tandem.verify_hash(p_table.relid, p_table.key_columns, s.typed, s.portable) k
  cross join lateral tandem.verify_hash(p_table.relid, array(select jsonb_array_elements_text(p_spec -> 'columns')), s.typed, s.portable) r
$$;
comment on function tandem.verify_rows(jsonb, tandem.tracked_table) is 'How verify hashes a table''s rows.';
