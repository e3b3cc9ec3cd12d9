/** A text in which what stands between backticks is to be typed, and is shown so. */
export function Coded({ text }: { readonly text: string }) {
  return <>{text.split("`").map((part, i) => (i % 2 === 1 ? <code key={i}>{part}</code> : part))}</>;
}
