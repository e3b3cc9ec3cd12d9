import { quoteIdent } from "../db/quote.ts";
import { nodeCheck, type Observation, ok, problem } from "./check.ts";
import { allowed, type DoctorNode } from "./node.ts";

/**
 * Tries, and takes back, what Tandem will do: a schema of its own, triggers on the tables, values of sequences, the
 * replica role. Remedy: the role that owns the tables, or a GRANT.
 */
export const rights = nodeCheck("rights", "the role may do all that Tandem needs", async (node) => {
  if (node.facts.inRecovery) return [];
  return [
    ...(await schemaRights(node)),
    ...(await triggerRights(node)),
    ...(await sequenceRights(node)),
    await replicaRole(node),
  ];
});

async function schemaRights(node: DoctorNode): Promise<Observation[]> {
  const { installed, database, role } = node.facts;
  if (installed === "barred") {
    return [
      problem(
        `role ${role} may not use schema tandem, which another role installed`,
        "Use the URL of the role that ran `tandem migrate`, or grant this role membership in it.",
      ),
    ];
  }
  if (installed === "usable" || (await node.attempt((tx) => allowed(tx, "create schema tandem_doctor_tries"))))
    return [];
  return [
    problem(
      `role ${role} may not create a schema in database ${database}`,
      `Have the database's owner run: grant create on database ${quoteIdent(database)} to ${quoteIdent(role)};`,
    ),
  ];
}

/** Membership in the owner is a matter of `tables`; an owner may have taken the right from himself. */
async function triggerRights(node: DoctorNode): Promise<Observation[]> {
  const tables = await node.tracked();
  const rows = await node.query(
    `select t as relid from unnest($1::oid[]) t where not has_table_privilege(t, 'select')
       or not has_table_privilege(t, 'insert') or not has_table_privilege(t, 'update')
       or not has_table_privilege(t, 'delete') or not has_table_privilege(t, 'trigger')`,
    [tables.map(({ relid }) => relid)],
  );
  const without = new Set(rows.map(({ relid }) => relid));
  return tables
    .filter(({ relid }) => without.has(relid))
    .map(({ label: table, schema, name }) =>
      problem(
        "the role may not select, insert, update, delete and create triggers here",
        `Run: grant all on ${quoteIdent(schema)}.${quoteIdent(name)} to ${quoteIdent(node.facts.role)};`,
        { table },
      ),
    );
}

/** setval needs UPDATE on the sequence, which may be owned by another role than the table that uses it. */
async function sequenceRights(node: DoctorNode): Promise<Observation[]> {
  const relids = (await node.tracked()).map(({ relid }) => relid);
  const rows = await node.query(
    `select distinct s.oid::regclass::text as sequence from pg_class s
     join pg_depend p on s.relkind = 'S' and ((p.classid = 'pg_class'::regclass and p.objid = s.oid and p.deptype in ('a', 'i'))
       or (p.refclassid = 'pg_class'::regclass and p.refobjid = s.oid and p.classid = 'pg_attrdef'::regclass))
     left join pg_attrdef d on p.classid = 'pg_attrdef'::regclass and d.oid = p.objid
     where coalesce(d.adrelid, p.refobjid) = any ($1::oid[]) and case when s.relkind = 'S' then not has_sequence_privilege(s.oid, 'update') end`,
    [relids],
  );
  return rows.map(({ sequence }) =>
    problem(
      `the role may not set sequence ${sequence}: inserts would meet numbers that other nodes have used`,
      `Run: grant all on sequence ${sequence} to ${quoteIdent(node.facts.role)};`,
    ),
  );
}

async function replicaRole(node: DoctorNode): Promise<Observation> {
  if (await node.mayReplicate())
    return ok(
      "the role may set session_replication_role: the application's triggers stay silent while changes are applied",
    );
  const granted = node.connection.serverVersion >= 150000;
  if (!granted)
    return ok(
      "the role may not set session_replication_role: the application's triggers fire while changes are applied",
    );
  return ok(
    "the role may not set session_replication_role (a superuser may grant it: grant set on parameter session_replication_role): the application's triggers fire while changes are applied",
  );
}
