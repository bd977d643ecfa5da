import { GFM, parser } from '@lezer/markdown';
import { decodeHTML } from 'entities';
import type { Cut } from './cuts.ts';
import { imageOf, type MarkupRules } from './html.ts';
import { isRemote } from './remote.ts';

const markdown = parser.configure([GFM]);
/** An image to somewhere that the grammar does not see: in another dialect it may be one. */
const loose = /!\[[^\]]{0,500}\]\(\s*(?:<\s*)?(?:[a-z]{2,10}:)?[\\/]{2}/gi;

/** Images that are fetched when a Markdown text is shown, and where in it code stands, which is shown as it is. */
export function readMarkdown(text: string, { allowedHosts }: MarkupRules): { cuts: Cut[]; code: [number, number][] } {
  const images: { from: number; to: number; address: string | null; label: string; alt: string }[] = [];
  const definitions = new Map<string, string>();
  const code: [number, number][] = [];
  markdown.parse(text).iterate({
    enter(node) {
      const { name, from, to } = node;
      if (name === 'InlineCode' || name === 'FencedCode') code.push([from, to]);
      else if (name === 'Image' || name === 'LinkReference') {
        const found = { address: null as string | null, label: null as string | null, marks: [] as number[] };
        for (let child = node.node.firstChild; child; child = child.nextSibling) {
          if (child.name === 'URL') found.address = text.slice(child.from, child.to);
          if (child.name === 'LinkLabel') found.label = text.slice(child.from + 1, child.to - 1);
          if (child.name === 'LinkMark') found.marks.push(child.from);
        }
        const alt = text.slice(from + 2, found.marks[1] ?? to);
        if (name === 'Image') images.push({ from, to, address: found.address, label: found.label || alt, alt });
        else if (found.address !== null) {
          const label = labelOf(found.label ?? '');
          if (!definitions.has(label)) definitions.set(label, found.address);
        }
      }
    },
  });
  const cuts: Cut[] = [];
  const kept: [number, number][] = [];
  for (const { from, to, address, label, alt } of images) {
    const leads = address ?? definitions.get(labelOf(label));
    if (leads !== undefined && isRemote(addressOf(leads), allowedHosts))
      cuts.push({ from, to, kind: 'remote-content', instead: imageOf(alt) });
    else kept.push([from, to]);
  }
  const known = [...code, ...kept, ...cuts.map(({ from, to }): [number, number] => [from, to])].sort(
    (a, b) => a[0] - b[0],
  );
  let next = 0;
  for (const { index } of text.matchAll(loose)) {
    while (next < known.length && (known[next]?.[1] ?? 0) <= index) next++;
    const within = known[next];
    if (within && within[0] <= index) continue;
    cuts.push({ from: index, to: index + 2, kind: 'remote-content', instead: '!\\[' });
  }
  return { cuts, code };
}

const labelOf = (label: string) => label.trim().replace(/\s+/g, ' ').toLowerCase();

/** As the grammar has it: in angle brackets or without, with back slashes and character references. */
const addressOf = (written: string) => decodeHTML(written.replace(/^<|>$/g, '').replace(/\\([!-/:-@[-`{-~])/g, '$1'));
