-- tandem.version() -> text
-- The version of the program whose sql/ is installed here; equals that of package.json. An older program that meets a newer
-- version stops instead of putting its own functions back.
create or replace function tandem.version() returns text
language sql immutable as $$
  select '0.1.0'
$$;
comment on function tandem.version() is 'The version of Tandem that is installed here.';
