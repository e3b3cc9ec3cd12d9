/**
 * Makes the type `ext.num`, a stand-in for those of extensions (ltree, hstore): its equality is found neither in pg_catalog nor
 * through text. Takes a superuser.
 */
export const numType = `create schema ext;
  create type ext.num; create function ext.num_in(cstring) returns ext.num language internal immutable strict as 'int4in';
  create function ext.num_out(ext.num) returns cstring language internal immutable strict as 'int4out';
  create type ext.num (input = ext.num_in, output = ext.num_out, like = int4);
  create function ext.lt(ext.num, ext.num) returns bool language internal immutable strict as 'int4lt';
  create function ext.le(ext.num, ext.num) returns bool language internal immutable strict as 'int4le';
  create function ext.eq(ext.num, ext.num) returns bool language internal immutable strict as 'int4eq';
  create function ext.ge(ext.num, ext.num) returns bool language internal immutable strict as 'int4ge';
  create function ext.gt(ext.num, ext.num) returns bool language internal immutable strict as 'int4gt';
  create function ext.cmp(ext.num, ext.num) returns int language internal immutable strict as 'btint4cmp';
  create operator ext.< (leftarg = ext.num, rightarg = ext.num, function = ext.lt, commutator = operator(ext.>), negator = operator(ext.>=));
  create operator ext.<= (leftarg = ext.num, rightarg = ext.num, function = ext.le, commutator = operator(ext.>=), negator = operator(ext.>));
  create operator ext.= (leftarg = ext.num, rightarg = ext.num, function = ext.eq, commutator = operator(ext.=), merges, restrict = eqsel, join = eqjoinsel);
  create operator ext.>= (leftarg = ext.num, rightarg = ext.num, function = ext.ge, commutator = operator(ext.<=), negator = operator(ext.<));
  create operator ext.> (leftarg = ext.num, rightarg = ext.num, function = ext.gt, commutator = operator(ext.<), negator = operator(ext.<=));
  create operator class ext.num_ops default for type ext.num using btree as operator 1 ext.<, operator 2 ext.<=, operator 3 ext.=, operator 4 ext.>=, operator 5 ext.>, function 1 ext.cmp(ext.num, ext.num);`;
