const SCRIPTS = [
  /\p{Script=Latin}/u,
  /\p{Script=Cyrillic}/u,
  /\p{Script=Greek}/u,
  /\p{Script=Armenian}/u,
  /\p{Script=Cherokee}/u,
];
const MOST = 5;

/** Words that mix alphabets whose letters look alike, as names do that imitate others: `аnna` with a Cyrillic а. */
export function mixedWords(text: string): string[] {
  const found = new Set<string>();
  for (const [word] of text.matchAll(/[\p{L}\p{M}\p{N}._-]+/gu)) {
    if (SCRIPTS.filter((script) => script.test(word)).length > 1) found.add(word);
    if (found.size === MOST) break;
  }
  return [...found];
}
