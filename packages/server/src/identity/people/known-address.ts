/**
 * The person whom an address of a provider or a directory means: who has exactly that one, else the only one who has it in other
 * letters (mail systems don't tell those apart, and people who leave under one spelling must not stay under another), else nobody yet:
 * in small letters. Addresses are ASCII, so that no other letter is folded into one.
 */
export function knownAddress(directory: ReadonlyMap<string, unknown>, email: string): string {
  if (directory.has(email)) return email;
  const lower = email.toLowerCase();
  const same = [...directory.keys()].filter((each) => each.toLowerCase() === lower);
  return same.length === 1 ? (same[0] as string) : lower;
}
