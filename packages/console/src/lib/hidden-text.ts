export type Piece = { text: string; hidden: false } | { code: string; name: string; hidden: true };

/**
 * Characters that show as nothing, as a blank, or change the order of what is read: an argument or a tool description that holds one
 * says something else to the model than to the person who approves it.
 */
const HIDDEN =
  /(?![\t\n ]|\r\n|(?<=[\p{Extended_Pictographic}\d#*])\p{Variation_Selector})[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/gu;

/** Splits a text so that every such character can be shown by its code. */
export function revealHidden(text: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match.index > at) pieces.push({ text: text.slice(at, match.index), hidden: false });
    const point = match[0].codePointAt(0) ?? 0;
    pieces.push({ code: `U+${point.toString(16).toUpperCase().padStart(4, '0')}`, name: nameOf(point), hidden: true });
    at = match.index + match[0].length;
  }
  if (at < text.length) pieces.push({ text: text.slice(at), hidden: false });
  return pieces;
}

export const countHidden = (text: string): number => text.match(HIDDEN)?.length ?? 0;

function nameOf(point: number): string {
  if (point >= 0xe0000 && point <= 0xe007f)
    return `tag character ${JSON.stringify(String.fromCodePoint(point - 0xe0000))}`;
  if (
    (point >= 0x202a && point <= 0x202e) ||
    (point >= 0x2066 && point <= 0x2069) ||
    point === 0x200f ||
    point === 0x200e
  )
    return 'changes the direction of text';
  if ((point >= 0x200b && point <= 0x200d) || point === 0xfeff || point === 0x2060) return 'zero width';
  if (point < 0x20 || (point >= 0x7f && point < 0xa0)) return 'control character';
  return 'invisible or blank';
}
