import { usePage } from "./context.ts";
import type { Backup, Status } from "./types.ts";

/** Whether a backup is lost with the disk of the sidecar's machine: such disks do not always last. */
function isOnlyHere({ places }: Backup, store: Status["store"]): boolean {
  return store === null || store.sameDisk || !places.includes("store");
}

/** Where copies of a backup lie; amber: all of them on one disk. */
export function Place({ backup }: { readonly backup: Backup }) {
  const { store, words, format } = usePage();
  const { backup: said } = words;
  const places = format.listing(backup.places.map((place) => said.places[place]));
  if (store.status === null || !isOnlyHere(backup, store.status.store)) return <>{places}</>;
  const several = backup.places.length > 1;
  return (
    <>
      {several && `${places} `}
      <span class="badge amber">{several ? said.oneDisk : said.onlyHere}</span>
    </>
  );
}

/** Why backups are amber, and what would help. */
export function PlaceNote({ backups }: { readonly backups: readonly Backup[] }) {
  const { store, words } = usePage();
  const { backup: said } = words;
  if (store.status === null) return null;
  const kept = store.status.store;
  if (!backups.some((backup) => isOnlyHere(backup, kept))) return null;
  const text = kept === null ? said.noStore : kept.sameDisk ? said.sameDisk(kept.name) : said.notThere(kept.name);
  return <p class="small amber">{text}</p>;
}
