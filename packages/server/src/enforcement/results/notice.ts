import { isJsonObject, type Json } from '../../platform/index.ts';
import type { RemovedKind, Tally } from './tally.ts';

const removedAs: Record<RemovedKind, [one: string, many: string]> = {
  'hidden-text': ['piece of hidden text', 'pieces of hidden text'],
  bidi: ['direction control', 'direction controls'],
  control: ['control character', 'control characters'],
  'terminal-escape': ['terminal escape', 'terminal escapes'],
  'remote-content': [
    'reference that would be fetched from elsewhere',
    'references that would be fetched from elsewhere',
  ],
  'unparsed-markup': ['tag or image, made plain text', 'tags and images, made plain text'],
};

/** Members of results by which a client shows them; what has none of them is an error, or a word about a task. */
const resultMembers = ['content', 'contents', 'messages', 'completion', 'structuredContent'];

export const labelsOf = ({ removed, masked }: Tally): string[] => [
  ...[...removed.keys()].map((kind) => `filtered:${kind}`).sort(),
  ...[...masked.keys()].map((kind) => `masked:${kind}`).sort(),
];

/** Counts and kinds, for the record and for the agent: what it was is nowhere. */
export function describe({ removed, masked }: Tally): string | null {
  const parts: string[] = [];
  if (removed.size > 0)
    parts.push(
      `removed ${listed([...removed].map(([kind, times]) => `${times} ${removedAs[kind][times === 1 ? 0 : 1]}`))}`,
    );
  if (masked.size > 0) parts.push(`masked ${listed([...masked].map(([kind, times]) => `${times} ${kind}`))}`);
  return parts.length > 0 ? parts.join('; ') : null;
}

/** Tells the agent, in the result itself, that it is not all as it was. */
export function withNotice(body: Json, notice: string, labels: string[]): Json {
  if (!isJsonObject(body) || !resultMembers.some((member) => member in body)) return body;
  const text = `[Gatehouse: ${notice}]`;
  const meta = { ...(isJsonObject(body._meta) ? body._meta : {}), 'gatehouse/result': { labels, notice } };
  if (Array.isArray(body.content)) return { ...body, content: [...body.content, { type: 'text', text }], _meta: meta };
  const [first] = Array.isArray(body.contents) ? body.contents : [];
  if (isJsonObject(first) && typeof first.uri === 'string') {
    const said = { uri: first.uri, mimeType: 'text/plain', text };
    return { ...body, contents: [...(body.contents as Json[]), said], _meta: meta };
  }
  return { ...body, _meta: meta };
}

const listed = (parts: string[]): string =>
  parts.length > 1 ? `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}` : (parts[0] ?? '');
