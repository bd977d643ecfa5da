import { Tokenizer, type TokenizerCallbacks } from 'htmlparser2';
import type { Cut } from './cuts.ts';
import { type AllowedHosts, candidatesOf, isRemote, stylesFetch, withoutCssComments } from './remote.ts';

export interface MarkupRules {
  allowedHosts: AllowedHosts;
  /** Markup stays as it is: of files that are to be edited, say. */
  keep: boolean;
}

/** Has no content, so that nothing can be hidden in it. */
const voidTags = new Set(
  'area base br col embed frame hr img input keygen link meta param source track wbr'.split(' '),
);
/** Attributes whose address is fetched when the element is shown. `href` only where `linked` says so. */
const fetched = new Set(
  'src srcset imagesrcset poster background data lowsrc dynsrc codebase classid icon manifest ping archive'.split(' '),
);
const linked = new Set(['link', 'image', 'use', 'feimage', 'base', 'script', 'pattern', 'filter', 'mpath']);
const shown = /^\?(?:xml|php|=)/i;

const hiding = new RegExp(
  [
    'display\\s*:\\s*none',
    'visibility\\s*:\\s*(?:hidden|collapse)',
    'opacity\\s*:\\s*(?:0?\\.0*[0-4]\\d*|0+(?:\\.0+)?%?)(?![.\\d])',
    'font-size\\s*:\\s*(?:0*\\.\\d+|0+|1)(?:\\.0+)?(?:px|pt|em|rem|%|vw|vh)?(?![.\\d\\w%])',
    'font\\s*:[^;]*\\s0(?:px|pt|em)?\\s',
    '(?:max-)?(?:height|width)\\s*:\\s*0(?:px)?[^;]*;.*overflow\\s*:\\s*(?:hidden|clip)',
    'overflow\\s*:\\s*(?:hidden|clip).*(?:height|width)\\s*:\\s*0(?:px)?\\s*(?:;|$|!)',
    '(?:text-indent|left|top|right|bottom|margin-left|margin-top)\\s*:\\s*-\\d{3,}',
    '(?:^|[;\\s])color\\s*:\\s*(?:transparent|rgba?\\([^)]*[,/]\\s*0(?:\\.0+)?%?\\s*\\))',
    'clip(?:-path)?\\s*:\\s*(?:rect\\(\\s*0|inset\\(\\s*(?:50|100)%)',
    'transform\\s*:\\s*scale\\(\\s*0\\s*\\)',
    'content-visibility\\s*:\\s*hidden',
  ].join('|'),
  'is',
);

interface Attribute {
  name: string;
  value: string;
  from: number;
  to: number;
}

/**
 * What in a piece of HTML nobody sees, and what a browser would fetch from elsewhere. By tokens and not by the tree: so it is as fast as
 * the text is long, and where nesting is broken more is taken out and not less.
 */
export function htmlCuts(text: string, { allowedHosts }: MarkupRules): Cut[] {
  const cuts: Cut[] = [];
  let name = '';
  let from = 0;
  let attributes: Map<string, Attribute> = new Map();
  let attribute: Attribute | undefined;
  /** The element nobody sees that is open, and how many of its name are open in it. */
  let inHidden: { name: string; from: number; depth: number } | undefined;
  let styleFrom: number | undefined;

  function endOfTag(to: number): void {
    cutsOfTag(to);
    if (name === 'style') styleFrom = to;
    if (voidTags.has(name)) return;
    if (inHidden) {
      if (inHidden.name === name) inHidden.depth++;
    } else if (isHidden(attributes)) inHidden = { name, from, depth: 1 };
  }

  function cutsOfTag(to: number): void {
    const alt = attributes.get('alt')?.value;
    const cutTag = () => cuts.push({ from, to, kind: 'remote-content', instead: name === 'img' ? imageOf(alt) : '' });
    const isFetched = ({ name: of, value }: Attribute): boolean => {
      if (of === 'style') return stylesFetch(value, allowedHosts);
      if (of === 'srcset' || of === 'imagesrcset')
        return candidatesOf(value).some((each) => isRemote(each, allowedHosts));
      if (of === 'ping') return value.trim() !== '';
      const counts = fetched.has(of) || ((of === 'href' || of === 'xlink:href') && linked.has(name));
      return counts && isRemote(value.trim(), allowedHosts);
    };
    if (name === 'meta' && attributes.get('http-equiv')?.value.trim().toLowerCase() === 'refresh') return void cutTag();
    for (const each of attributes.values()) {
      if (!isFetched(each)) continue;
      if (name === 'img') return void cutTag();
      cuts.push({ from: each.from, to: each.to, kind: 'remote-content' });
    }
  }

  function endOfStyle(to: number): void {
    if (styleFrom !== undefined && stylesFetch(text.slice(styleFrom, to), allowedHosts))
      cuts.push({ from: styleFrom, to, kind: 'remote-content' });
    styleFrom = undefined;
  }

  function endOfHidden(to: number): void {
    if (inHidden) cuts.push({ from: inHidden.from, to, kind: 'hidden-text' });
    inHidden = undefined;
  }

  const callbacks: TokenizerCallbacks = {
    onopentagname(start, end) {
      name = text.slice(start, end).toLowerCase();
      from = start - 1;
      attributes = new Map();
    },
    onattribname(start, end) {
      attribute = { name: text.slice(start, end).toLowerCase(), value: '', from: start, to: end };
    },
    onattribdata(start, end) {
      if (attribute) attribute.value += text.slice(start, end);
    },
    onattribentity(code) {
      if (attribute) attribute.value += String.fromCodePoint(code);
    },
    onattribend(_quote, end) {
      // A browser takes the first of two attributes with one name.
      if (attribute && !attributes.has(attribute.name)) attributes.set(attribute.name, { ...attribute, to: end });
      attribute = undefined;
    },
    onopentagend: (end) => endOfTag(end + 1),
    onselfclosingtag: (end) => endOfTag(end + 1),
    onclosetag(start, end) {
      const closed = text.slice(start, end).toLowerCase();
      if (closed === 'style') endOfStyle(start - 2);
      if (inHidden?.name !== closed || --inHidden.depth > 0) return;
      endOfHidden(endOfClosing(text, end));
    },
    oncomment(start, end) {
      const opened = text.startsWith('<!--', start - 4) ? 4 : text[start] === '?' ? 1 : 2;
      if (shown.test(text.slice(start, start + 8))) return;
      cuts.push({ from: start - opened, to: Math.min(text.length, end + 1), kind: 'hidden-text' });
    },
    oncdata: () => undefined,
    ondeclaration: () => undefined,
    onprocessinginstruction: () => undefined,
    ontext: () => undefined,
    ontextentity: () => undefined,
    onend() {
      endOfStyle(text.length);
      endOfHidden(text.length);
    },
  };
  const tokenizer = new Tokenizer({ decodeEntities: true }, callbacks);
  tokenizer.write(text);
  tokenizer.end();
  return cuts;
}

export const imageOf = (alt: string | undefined) => (alt?.trim() ? `[image: ${alt.trim().slice(0, 200)}]` : '[image]');

function endOfClosing(text: string, from: number): number {
  const end = text.indexOf('>', from);
  return end === -1 ? text.length : end + 1;
}

function isHidden(attributes: ReadonlyMap<string, Attribute>): boolean {
  const hidden = attributes.get('hidden');
  if (hidden && hidden.value.trim().toLowerCase() !== 'until-found') return true;
  const style = attributes.get('style')?.value;
  if (style === undefined) return false;
  return hiding.test(withoutCssComments(style).slice(0, 2_000));
}
