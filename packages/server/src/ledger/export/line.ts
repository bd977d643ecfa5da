/**
 * What readers of lines, terminals among them, could take for the end of one or for a command: other line breaks than those that JSON
 * escapes, C1 controls, and characters that turn the direction of text or are not seen.
 */
const unsafe = /[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** JSON in one line that no text in it can break out of; a parser gives back what went in. */
export const jsonLine = (value: unknown): string => JSON.stringify(value).replace(unsafe, escaped);

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const controls = /[\u0000-\u001f]+/g;

/** For formats without an escape of their own: what could end a line is a space, and the text is at most so long. */
export function plainLine(text: string, maxChars: number): string {
  const line = text.toWellFormed().replace(unsafe, ' ').replace(controls, ' ');
  return line.length <= maxChars ? line : line.slice(0, maxChars).toWellFormed();
}
