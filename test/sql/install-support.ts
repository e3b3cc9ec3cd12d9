import { spawn } from "node:child_process";
import { pgDump, skipUnless } from "../support/components.ts";
import type { Admin } from "../support/pg.ts";

/** What a program of the operating system printed; fails with its stderr. */
export function run(program: string, args: string[], { input = "", env = {} } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: { ...process.env, ...env }, timeout: 120_000 });
    let [out, err] = ["", ""];
    // A letter may end in the next piece.
    child.stdout.setEncoding("utf8").on("data", (data) => {
      out += data;
    });
    child.stderr.setEncoding("utf8").on("data", (data) => {
      err += data;
    });
    child.on("error", reject);
    child.on("close", (code) =>
      code === 0 ? resolve(out) : reject(new Error(`${program} ended with ${code}: ${err}`)),
    );
    // A program that ends before it has read all tells why on stderr.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

/** Runs a script as a database administrator would. */
export function runScript(url: string, script: string): Promise<string> {
  return run(skipUnless("psql"), ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", url], { input: script });
}

/** The whole schema as pg_dump writes it, without what differs from run to run; skips where pg_dump is too old. */
export async function dumpSchema(url: string, ...more: string[]): Promise<string> {
  const text = await run(pgDump(), ["-s", ...more, url]);
  return text.replace(/^(-- Dumped (from|by)|\\(un)?restrict ).*\n/gm, "");
}

/** A fingerprint of every row and every catalog entry of Tandem's: a write of any kind changes it. */
export async function fingerprint(admin: Admin): Promise<string> {
  const tables = await admin.query(
    `select c.oid::regclass::text as name from pg_class c where c.relkind = 'r' and c.relnamespace in ('tandem'::regnamespace, 'tandem_log'::regnamespace) order by 1`,
  );
  const catalogs = ["pg_class", "pg_proc", "pg_trigger", "pg_description", "pg_namespace", "pg_sequence", "pg_rewrite"];
  const parts: string[] = [];
  for (const name of [...tables.map((row) => row.name), ...catalogs.map((catalog) => `pg_catalog.${catalog}`)]) {
    const where = name === "pg_catalog.pg_class" ? "where t.oid >= 16384" : "";
    const versions = `select md5(string_agg(t.ctid::text || t.xmin::text, ',' order by t.ctid)) from ${name} t ${where}`;
    parts.push(`${name} ${await admin.value(versions)}`);
  }
  return parts.join("\n");
}

/** Tables of every kind that matters for the installation. */
export const sampleSchema = `
  create table public.perfis (id serial primary key, nome text not null, updated_at timestamptz);
  create table public.visitas (perfil_id integer references public.perfis on delete cascade, dia date, nota text, primary key (perfil_id, dia));
  create schema crm;
  create type crm.estado as enum ('novo', 'velho');
  create table crm."Pedido Ítem" ("Id" uuid default gen_random_uuid() primary key, op crm.estado, "key" text unique);
  create table public.medidas (sensor bigint generated always as identity, dia date not null, v numeric, primary key (sensor, dia)) partition by range (dia);
  create table public.medidas_2025 partition of public.medidas for values from ('2025-01-01') to ('2026-01-01');
  create table public.medidas_resto partition of public.medidas default;
  create function public.toca() returns trigger language plpgsql as 'begin new.updated_at := now(); return new; end';
  create trigger toca before update on public.perfis for each row execute function public.toca();
  create table public.sem_chave (v integer);
  create table public.pgmigrations (id serial primary key, name varchar(255) not null, run_on timestamp not null);
`;
