import { useEffect, useState } from "preact/hooks";

/** Whether the page is as narrow as a phone's. */
export function useNarrow(): boolean {
  const [query] = useState(() => matchMedia("(max-width: 640px)"));
  const [narrow, setNarrow] = useState(query.matches);
  useEffect(() => {
    const look = () => setNarrow(query.matches);
    query.addEventListener("change", look);
    return () => query.removeEventListener("change", look);
  }, [query]);
  return narrow;
}
