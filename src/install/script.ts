import type { Config, TriggerChoice } from "../config/config.ts";
import { parseNodeUrl } from "../config/url.ts";
import { quoteLiteral } from "../db/quote.ts";
import { installBlocks } from "./install-block.ts";
import { chosenNodes } from "./nodes.ts";
import { readPackage } from "./package-files.ts";
import { trackBlock } from "./track-block.ts";
import { removeBlockPatiently, untrackBlock } from "./uninstall-block.ts";

/**
 * What `migrate` does in one node, as a script for `psql -v ON_ERROR_STOP=1 -f -`. It needs no connection and no file
 * beside it: which tables are tracked is decided where it runs. Run again it changes nothing. `triggers` is for tables
 * of which the file does not say it.
 */
export async function migrationScript(
  config: Config,
  nodeName: string,
  { triggers }: { readonly triggers?: TriggerChoice | undefined } = {},
): Promise<string> {
  const [node] = chosenNodes(config, nodeName);
  const own = await readPackage();
  const role = parseNodeUrl(node?.url ?? "").user;
  return [
    `-- Tandem ${own.version}: installs Tandem in node ${nodeName}. Run it with: psql -v ON_ERROR_STOP=1 -f -`,
    `-- Everything it makes belongs to role ${JSON.stringify(role)}, as which Tandem will log in; who runs it is that role, or may become it.`,
    settings,
    becomeRole(role),
    `begin;\n\n${installBlocks(config, nodeName, own)}\n\ncommit;`,
    trackBlock(config, nodeName, "commit", triggers),
    beOneselfAgain(role),
  ].join("\n\n");
}

/** The script that removes Tandem from any node. */
export async function uninstallScript(): Promise<string> {
  const { version } = await readPackage();
  return [
    `-- Tandem ${version}: removes Tandem from this database. Run it with: psql -v ON_ERROR_STOP=1 -f -`,
    settings,
    untrackBlock("commit"),
    removeBlockPatiently("commit"),
    "",
  ].join("\n\n");
}

/** As for the program's own sessions; a `do` block that commits loses what it set for its transaction. */
const settings = `set search_path = pg_catalog, pg_temp;
set default_transaction_isolation = 'read committed';
set default_transaction_read_only = off;
set jit = off;
set statement_timeout = 0;
set client_min_messages = notice;`;

function becomeRole(role: string): string {
  const name = quoteLiteral(role);
  return `do $tandem_install$
begin
  if current_user <> ${name} then
    if not has_database_privilege(${name}, current_database(), 'create') then
      execute format('grant create on database %I to %I', current_database(), ${name});
      perform set_config('tandem.lent_create', 'yes', false);
    end if;
    perform set_config('role', ${name}, false);
  end if;
end $tandem_install$;`;
}

function beOneselfAgain(role: string): string {
  return `reset role;
do $tandem_install$
begin
  if current_setting('tandem.lent_create', true) = 'yes' then
    execute format('revoke create on database %I from %I', current_database(), ${quoteLiteral(role)});
  end if;
end $tandem_install$;
`;
}
