import { hiddenCharactersSource } from '../../registry/index.ts';
import { resultLimits } from './limits.ts';
import { count, type RemovedKind, type Tally } from './tally.ts';

/** Nothing else can be hidden or do anything to a terminal: most results are seen with this one look. */
const unusual = /[^\t\n\r\x20-\x7e]/;

/** Control sequences, control strings with their ends, and escapes (ECMA-48), in seven and eight bits. */
const escapes = new RegExp(
  [
    '(?:\\x1b\\[|\\x9b)[0-?]*[ -/]*[@-~]',
    '(?:\\x1b[\\]PX^_]|[\\x90\\x98\\x9d-\\x9f])[^\\x07\\x1b\\x90\\x98\\x9b-\\x9f\\n]*(?:\\x07|\\x1b\\\\|\\x9c)',
    '\\x1b[ -/]*[0-Z\\\\`-~]',
  ].join('|'),
  'g',
);
const controls = /(?![\t\n\r])\p{Cc}/u;

/** Flags of England, Scotland and Wales; the only sequences of tags that are pictures. */
const taggedFlag =
  '\\u{1f3f4}(?:\\u{e0067}\\u{e0062}(?:\\u{e0065}\\u{e006e}\\u{e0067}|\\u{e0073}\\u{e0063}\\u{e0074}|\\u{e0077}\\u{e006c}\\u{e0073}))\\u{e007f}';
const hidden = new RegExp(`${taggedFlag}|[\\ufe00-\\ufe0f]|${hiddenCharactersSource}`, 'gu');

const joiningScripts =
  '\\p{scx=Arab}\\p{scx=Syrc}\\p{scx=Nkoo}\\p{scx=Mand}\\p{scx=Mong}\\p{scx=Deva}\\p{scx=Beng}\\p{scx=Guru}\\p{scx=Gujr}\\p{scx=Orya}\\p{scx=Taml}\\p{scx=Telu}\\p{scx=Knda}\\p{scx=Mlym}\\p{scx=Sinh}\\p{scx=Khmr}\\p{scx=Mymr}\\p{scx=Tibt}';
const endsJoining = new RegExp(`[[${joiningScripts}]&&[\\p{L}\\p{M}]]$`, 'v');
const startsJoining = new RegExp(`^[[${joiningScripts}]&&[\\p{L}\\p{M}]]`, 'v');
const endsPicture = /(?:\p{Extended_Pictographic}|\p{Emoji_Modifier})\ufe0f?$/u;
const startsPicture = /^\p{Extended_Pictographic}/u;
const unspaced = '[\\p{scx=Thai}\\p{scx=Laoo}\\p{scx=Khmr}\\p{scx=Mymr}\\p{scx=Tibt}]';
const endsUnspaced = new RegExp(`${unspaced}$`, 'u');
const startsUnspaced = new RegExp(`^${unspaced}`, 'u');
const rightToLeft = /[\p{scx=Arab}\p{scx=Hebr}\p{scx=Syrc}\p{scx=Thaa}\p{scx=Nkoo}]/u;
const formatAtEnd = /\p{Cf}$/u;
const always = /^[\p{Co}\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u{110bd}\u{110cd}]$/u;

/** Characters of context that are looked at on either side of one. */
const AROUND = 24;

/**
 * Takes out what a model reads and a person does not see, or what reorders it, or what drives a terminal. What writing needs stays: the
 * joiners of Persian, Indic scripts and composed pictures, the spaces of scripts without visible ones, marks beside right-to-left text.
 */
export function cleanCharacters(text: string, tally: Tally): string {
  if (!unusual.test(text)) return text;
  let clean = text.isWellFormed() ? text : text.toWellFormed();
  if (clean !== text) count(tally.removed, 'control');
  if (controls.test(clean))
    clean = clean.replace(escapes, () => {
      count(tally.removed, 'terminal-escape');
      return '';
    });
  let left = resultLimits.weighedCharacters;
  return clean.replace(hidden, (found, ...rest) => {
    const offset = rest.at(-2) as number;
    const whole = rest.at(-1) as string;
    if (found.length > 2 && found.startsWith('\u{1f3f4}')) return found;
    if (left > 0) {
      left--;
      const before = whole.slice(Math.max(0, offset - AROUND), offset);
      const after = whole.slice(offset + found.length, offset + found.length + AROUND);
      if (isNeeded(found, before, after)) {
        left++;
        return found;
      }
    }
    count(tally.removed, kindOf(found));
    return '';
  });
}

/** Whether writing needs this character between these. A run of them is never needed. */
function isNeeded(found: string, before: string, after: string): boolean {
  const code = found.codePointAt(0) as number;
  if (always.test(found)) return true;
  // Not assigned when this was built; a later Unicode may have made a letter of it.
  if (/^\p{Cn}$/u.test(found)) return !/^\p{Noncharacter_Code_Point}$/u.test(found);
  switch (code) {
    case 0xfeff:
      return before === '';
    case 0x200d:
      return (endsPicture.test(before) && startsPicture.test(after)) || joins(before, after);
    case 0x200c:
      return joins(before, after);
    case 0x200b:
      return endsUnspaced.test(before) && startsUnspaced.test(after);
    case 0x061c:
    case 0x200e:
    case 0x200f:
      return !formatAtEnd.test(before) && (rightToLeft.test(before) || rightToLeft.test(after));
    case 0xfe0e:
    case 0xfe0f:
      return /\p{Extended_Pictographic}$/u.test(before) || (/[0-9#*]$/.test(before) && after.startsWith('\u20e3'));
  }
  if (code >= 0xfe00 && code <= 0xfe02) return /[\p{sc=Han}\p{Sm}\p{sc=Mymr}\p{sc=Phag}]$/u.test(before);
  if (code >= 0xe0100 && code <= 0xe01ef) return /\p{sc=Han}$/u.test(before);
  if (code >= 0x180b && code <= 0x180f) return /\p{sc=Mong}$/u.test(before);
  if (code >= 0x13430 && code <= 0x1343f) return /\p{sc=Egyp}$/u.test(before);
  return false;
}

const joins = (before: string, after: string) => endsJoining.test(before) && startsJoining.test(after);

function kindOf(found: string): RemovedKind {
  if (/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(found)) return 'bidi';
  return /[\p{Cc}\p{Cs}]/u.test(found) ? 'control' : 'hidden-text';
}
