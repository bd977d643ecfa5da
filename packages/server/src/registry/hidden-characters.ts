/**
 * Characters that a model reads and a person does not see, or that reorder what a person sees: controls (but tab and line ends),
 * zero-width and other format characters, bidirectional controls, tags, fillers, private use, lone surrogates, and variation
 * selectors that do not follow a picture.
 */
export const hiddenCharactersSource = [
  '[\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f]',
  '[\\p{Cf}\\p{Co}\\p{Cs}\\p{Cn}]',
  '\\u034f|\\u115f|\\u1160|\\u17b4|\\u17b5|\\u3164|\\uffa0|[\\u180b-\\u180f]',
  '(?<![\\p{Extended_Pictographic}0-9#*])[\\ufe00-\\ufe0f]',
  '[\\u{e0100}-\\u{e01ef}]',
].join('|');
const hidden = new RegExp(hiddenCharactersSource, 'u');

/** The first such character in a text, as `U+200B`. */
export function hiddenCharacter(text: string): string | undefined {
  const found = hidden.exec(text)?.[0];
  const code = found?.codePointAt(0);
  return code === undefined ? undefined : `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** A text of others on one line of ours, in a record or on a terminal: what nobody sees, and ends of lines, stand there as `\ufffd`. */
export const onOneLine = (text: string): string =>
  text.toWellFormed().replaceAll(new RegExp(`${hidden.source}|[\\t\\r\\n\u2028\u2029]`, 'gu'), '\ufffd');

/** Where in a JSON value such characters are, member names included: at most `limit` places. */
export function hiddenCharacters(value: unknown, limit = 5): { path: string; character: string }[] {
  const found: { path: string; character: string }[] = [];
  const visit = (at: unknown, path: string): void => {
    if (found.length >= limit) return;
    if (typeof at === 'string') {
      const character = hiddenCharacter(at);
      if (character) found.push({ path, character });
    } else if (typeof at === 'object' && at !== null) {
      for (const [key, member] of Object.entries(at)) {
        const character = hiddenCharacter(key);
        const shown = character ? JSON.stringify(key).replace(/[^\x20-\x7e]/g, '?') : key;
        const memberPath = path ? `${path}.${shown}` : shown;
        if (character) found.push({ path: memberPath, character });
        visit(member, memberPath);
      }
    }
  };
  visit(value, '');
  return found.slice(0, limit);
}
