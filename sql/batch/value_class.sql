-- tandem.value_class(p_type, p_typmod, p_inside) -> text
-- What two columns must have in common so that every value passes from one to the other unchanged or is refused; where it differs, a value could
-- be rounded, padded or written another way. One class for what only refuses: integers of any width, text and varchar of any length,
-- numeric of one scale whatever its precision, an enum whatever its labels, a domain and what it is based on. Everything else is its type
-- with all modifiers. Types are told by name without schema, for extensions live in different ones; composites and ranges by what they
-- consist of too. p_inside: within an array, composite or range, where a varchar's length counts: its input function cuts blanks off.
create or replace function tandem.value_class(p_type oid, p_typmod integer, p_inside boolean default false) returns text
language plpgsql stable as $$
declare
  t pg_type;
  v_name text;
begin
  select * into strict t from pg_type where oid = p_type;
  v_name := case when t.typnamespace = 'pg_catalog'::regnamespace then format_type(p_type, p_typmod)
    else t.typname || coalesce(substring(format_type(p_type, p_typmod) from '\([^()]*\)$'), '') end;
  case
    when t.typtype = 'd' then
      return tandem.value_class(t.typbasetype, t.typtypmod, p_inside);
    when t.typcategory = 'A' and t.typelem <> 0 then
      return tandem.value_class(t.typelem, p_typmod, true) || '[]';
    when p_type in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) then
      return 'integer';
    when p_type in ('text'::regtype, 'varchar'::regtype) and (p_typmod = -1 or not p_inside) then
      return 'text';
    when p_type = 'numeric'::regtype and p_typmod <> -1 then
      -- The scale as PostgreSQL 15 packs it, where it may be negative; older versions pack those they know alike.
      return format('numeric of scale %s', (((p_typmod - 4) & 2047) # 1024) - 1024);
    when t.typtype = 'e' then
      return 'enum ' || t.typname;
    when t.typtype = 'c' then
      return (select format('%s(%s)', v_name, string_agg(tandem.value_class(a.atttypid, a.atttypmod, true), ', ' order by a.attnum))
        from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped);
    when t.typtype in ('r', 'm') then
      return (select format('%s(%s)', v_name, tandem.value_class(r.rngsubtype, -1, true))
        from pg_range r where p_type in (r.rngtypid, (to_jsonb(r) ->> 'rngmultitypid')::oid));
    else
      return v_name;
  end case;
end $$;
comment on function tandem.value_class(oid, integer, boolean) is 'What two columns must have in common to carry each other''s values.';

-- tandem.base_typmod(p_type, p_typmod) -> integer: the modifier that a column's values are subject to, that of a domain where it is of one.
create or replace function tandem.base_typmod(p_type oid, p_typmod integer) returns integer
language plpgsql stable as $$
begin
  return (
    with recursive d as (
      select t.typtype, t.typbasetype, case when t.typtype = 'd' then t.typtypmod else p_typmod end as typmod from pg_type t where t.oid = p_type
      union all
      select t.typtype, t.typbasetype, case when t.typtype = 'd' then t.typtypmod else d.typmod end from d join pg_type t on t.oid = d.typbasetype where d.typtype = 'd')
    select typmod from d where typtype <> 'd');
end $$;
comment on function tandem.base_typmod(oid, integer) is 'The type modifier under a domain.';
