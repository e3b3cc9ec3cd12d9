import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

interface DialogProps {
  readonly title: string;
  readonly wide?: boolean;
  /** Escape was pressed, or the dialog was left otherwise. */
  onClose(): void;
  readonly children: ComponentChildren;
}

/** The browser's own dialog: it holds the keyboard, and gives it back to where it was. */
export function Dialog({ title, wide = false, onClose, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => {
    const opened = dialog.current;
    opened?.showModal();
    // Where nothing is to be filled in, the first that takes the keyboard may stand far below: one reads from the top.
    (opened?.querySelector("input") ?? heading.current)?.focus();
    // Closed before it is taken away, and at once: the browser gives the keyboard back, and no key that is pressed meanwhile is lost.
    return () => opened?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      class={wide ? "wide" : ""}
      aria-labelledby="dialog-title"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <h2 id="dialog-title" ref={heading} tabIndex={-1}>
        {title}
      </h2>
      {children}
    </dialog>
  );
}
