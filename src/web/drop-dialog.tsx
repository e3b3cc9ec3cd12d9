import { useState } from "preact/hooks";
import { act, usePage } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import type { ParkedRow } from "./types.ts";

/** Asks why a parked row is given up. */
export function DropDialog({ row, onClose }: { readonly row: ParkedRow; onClose(): void }) {
  const page = usePage();
  const { store, words } = page;
  const [reason, setReason] = useState("");
  const { id, node, table, key } = row;
  const { parked: said } = words;
  const drop = async () => {
    onClose();
    await act(page, async () => {
      await store.api.post(`/api/parked/${id}/drop`, { node, reason: reason.trim() });
      return ({ parked }) => parked.dropped(table, key);
    });
  };
  return (
    <Dialog title={said.title(table, key)} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void drop();
        }}
      >
        <p>{said.explain}</p>
        <p class="small long" lang="en">
          {row.reason}
        </p>
        <label>
          {said.reason}
          <input
            type="text"
            maxLength={1_000}
            value={reason}
            aria-describedby="reason-small"
            onInput={({ currentTarget }) => setReason(currentTarget.value)}
          />
        </label>
        <p id="reason-small" class="small">
          {said.reasonSmall}
        </p>
        <div class="buttons">
          <button type="button" onClick={onClose}>
            {words.cancel}
          </button>
          <button type="submit" class="main danger" disabled={reason.trim() === ""}>
            {said.drop}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
