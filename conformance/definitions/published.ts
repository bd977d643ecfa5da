import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Json, Named } from './serving.ts';

/** A tool definition that somebody published as an attack. */
export interface Poisoned {
  corpus: string;
  /** As its authors file it. */
  kind: string;
  tool: Named;
}

interface Extracted {
  file: string;
  name: string;
  params: Record<string, string | null>;
  description: string;
}

const corpora = ['msb', 'mcpsecbench'];

/** What is in `DIR/mcp-attacks`; undefined when nothing is. */
export function readPublished(directory: string): Poisoned[] | undefined {
  const found: Poisoned[] = [];
  for (const corpus of corpora) {
    const file = ['attack_tools.extracted.json', 'tools.extracted.json']
      .map((name) => join(directory, 'mcp-attacks', corpus, name))
      .find(existsSync);
    if (file === undefined) return undefined;
    const tools = JSON.parse(readFileSync(file, 'utf8')) as Extracted[];
    found.push(...tools.map((each) => ({ corpus, kind: kindOf(each.file), tool: definitionOf(each) })));
  }
  return found;
}

const kindOf = (file: string): string => {
  const [, ...kinds] = basename(file, '.py').split('-');
  return kinds.length > 0 ? kinds.join(' + ').replaceAll('_', ' ') : 'description';
};

const types: Record<string, Json> = {
  str: { type: 'string' },
  int: { type: 'integer' },
  float: { type: 'number' },
  bool: { type: 'boolean' },
};

function definitionOf({ name, params, description }: Extracted): Named {
  const properties = Object.fromEntries(Object.entries(params).map(([each, type]) => [each, types[type ?? ''] ?? {}]));
  return { name, description, inputSchema: { type: 'object', properties, required: Object.keys(params) } };
}
