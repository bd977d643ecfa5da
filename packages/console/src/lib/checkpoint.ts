/** The three lines that a C2SP checkpoint begins with: origin, size, root hash. Null for anything else. */
export function checkpointOf(note: string): { origin: string; size: number; root: string } | null {
  const [origin, size, root] = note.split('\n');
  if (!origin || !root || !/^\d+$/.test(size ?? '')) return null;
  return { origin, size: Number(size), root };
}
