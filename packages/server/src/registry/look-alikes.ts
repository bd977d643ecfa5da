/**
 * Two names with the same skeleton look or read alike, and a person who approves one must not be shown the other. Deliberately
 * coarse: hyphens, underscores, dots and case go, and so do accents and the letters that other scripts share with Latin.
 * Hyphens between two digits stay, because `job-1-11` and `job-11-1` do not look alike.
 */
export function skeleton(name: string): string {
  return foldLookAlikes(name)
    .replace(/(?<=\d)[-_.\s]+(?=\d)/g, '\n')
    .replace(/[-_. ]+/g, '')
    .replace(/0/g, 'o')
    .replace(/[1|]/g, 'l');
}

/** Without case, accents and invisible characters, and with letters of other scripts as the Latin ones that they look like. */
export function foldLookAlikes(text: string): string {
  return text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[\p{M}\p{Cf}]+/gu, '')
    .replace(/[^\0-\x7f]/gu, (character) => sameLooks[character] ?? character);
}

/** Cyrillic and Greek letters that are drawn like a Latin one, after lower-casing (from Unicode's confusables.txt, the plain cases). */
const sameLooks: Record<string, string> = {
  а: 'a',
  в: 'b',
  с: 'c',
  ԁ: 'd',
  е: 'e',
  ё: 'e',
  һ: 'h',
  і: 'i',
  ј: 'j',
  к: 'k',
  ӏ: 'l',
  м: 'm',
  н: 'h',
  о: 'o',
  р: 'p',
  ԛ: 'q',
  ѕ: 's',
  т: 't',
  у: 'y',
  ѵ: 'v',
  ԝ: 'w',
  х: 'x',
  α: 'a',
  β: 'b',
  ε: 'e',
  η: 'n',
  ι: 'i',
  κ: 'k',
  ν: 'v',
  ο: 'o',
  ρ: 'p',
  τ: 't',
  υ: 'u',
  χ: 'x',
  ı: 'i',
};
