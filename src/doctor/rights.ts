import { quoteIdent } from "../db/quote.ts";
import { listed, nodeCheck, type Observation, ok, problem } from "./check.ts";
import { allowed, type DoctorNode } from "./node.ts";
import type { DoctorTable } from "./tables.ts";
import { type Tried, tryOn } from "./tries.ts";

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

/** Membership in the owner is a matter of `tables`; an owner may have taken the right from himself, and the server may have rules of its own. */
async function triggerRights(node: DoctorNode): Promise<Observation[]> {
  const tables = await node.tracked();
  const rows = await node.query(
    `select t as relid from unnest($1::oid[]) t where not has_table_privilege(t, 'select')
       or not has_table_privilege(t, 'insert') or not has_table_privilege(t, 'update')
       or not has_table_privilege(t, 'delete') or not has_table_privilege(t, 'trigger')`,
    [tables.map(({ relid }) => relid)],
  );
  const without = new Set(rows.map(({ relid }) => relid));
  const denied = ({ label: table, schema, name }: DoctorTable) =>
    problem(
      "the role may not select, insert, update, delete and create triggers here",
      `Run: grant all on ${quoteIdent(schema)}.${quoteIdent(name)} to ${quoteIdent(node.facts.role)};`,
      { table },
    );
  const rest = tables.filter(({ relid }) => !without.has(relid));
  const tried = await tryOn(
    node,
    rest.map(({ relid }) => relid),
  );
  const labels = new Map(tables.map(({ relid, label }) => [relid, label]));
  return [
    ...tables.filter(({ relid }) => without.has(relid)).map(denied),
    ...tried.filter(isRefused).map(({ relid, message }) => {
      const remedy =
        "Have whoever runs the server allow it, or exclude the table: without triggers nothing is captured.";
      return problem(`no trigger can be created here: ${message}`, remedy, { table: labels.get(relid) });
    }),
    ...notTried(tried, "triggers on"),
  ];
}

/**
 * setval needs UPDATE on the sequence, and where it stands is read before; it may be owned by another role than the table that uses it,
 * and can be tried without a trace only by its owner.
 */
async function sequenceRights(node: DoctorNode): Promise<Observation[]> {
  const relids = (await node.tracked()).map(({ relid }) => relid);
  const rows = await node.query(
    `select distinct s.oid as relid, s.oid::regclass::text as sequence, pg_has_role(s.relowner, 'usage') as own,
       case when s.relkind = 'S' then has_sequence_privilege(s.oid, 'select') and has_sequence_privilege(s.oid, 'update') end as allowed from pg_class s
     join pg_depend p on s.relkind = 'S' and ((p.classid = 'pg_class'::regclass and p.objid = s.oid and p.deptype in ('a', 'i'))
       or (p.refclassid = 'pg_class'::regclass and p.refobjid = s.oid and p.classid = 'pg_attrdef'::regclass))
     left join pg_attrdef d on p.classid = 'pg_attrdef'::regclass and d.oid = p.objid
     where coalesce(d.adrelid, p.refobjid) = any ($1::oid[]) order by 2`,
    [relids],
  );
  const tried = await tryOn(
    node,
    rows.filter(({ own, allowed }) => own === "t" && allowed === "t").map(({ relid }) => relid ?? ""),
  );
  const effect = "inserts would meet numbers that other nodes have used";
  return [
    ...rows
      .filter(({ allowed }) => allowed !== "t")
      .map(({ sequence }) =>
        problem(
          `the role may not set sequence ${sequence}: ${effect}`,
          `Run: grant all on sequence ${sequence} to ${quoteIdent(node.facts.role)};`,
        ),
      ),
    ...tried.filter(isRefused).map(({ name, message }) => {
      const remedy = "Have whoever runs the server allow it.";
      return problem(`sequence ${name} cannot be set (${message}): ${effect}`, remedy);
    }),
    ...notTried(tried, "setting"),
  ];
}

const isRefused = ({ outcome }: Tried) => outcome === "denied" || outcome === "failed";

/** What is in use is judged by its privileges alone: it is never waited for. */
function notTried(tried: readonly Tried[], what: string): Observation[] {
  const busy = tried.filter(({ outcome }) => outcome === "busy").map(({ name }) => name);
  if (busy.length === 0) return [];
  return [ok(`not tried, only judged by privileges, for others use it at this moment: ${what} ${listed(busy)}`)];
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
