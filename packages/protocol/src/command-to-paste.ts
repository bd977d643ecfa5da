/** No other character means itself in every shell, and what begins with a hyphen is an option. */
const PLAIN = /^(?!-)[A-Za-z0-9.:/_[\]-]+$/;

/**
 * A command for a person to paste, with words in it that somebody else chose: a tool server, an agent, the author of a manifest.
 * Undefined where one of them is more than a word to a shell: nothing is quoted, as shells differ in how.
 */
export function commandToPaste(
  fixed: TemplateStringsArray,
  ...chosen: (string | readonly string[])[]
): string | undefined {
  if (!chosen.flat().every((word) => PLAIN.test(word))) return undefined;
  return String.raw({ raw: fixed }, ...chosen.map((words) => [words].flat().join(' ')));
}
