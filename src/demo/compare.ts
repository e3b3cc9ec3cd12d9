import type { Observer } from "./traffic.ts";
import { shopTables } from "./shop.ts";
export async function compare(observer: Observer): Promise<boolean> {
  for (const name of shopTables) {
    const sums = await Promise.all((["local", "external"] as const).map((n) => observer.at(n).query(`select md5(string_agg(t::text, E'\\n' order by t::text collate "C")) as sum from public.${name} t`)));
    if (sums[0]![0]!.sum !== sums[1]![0]!.sum) return false;
  }
  return true;
}
