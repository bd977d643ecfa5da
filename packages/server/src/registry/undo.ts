import type { Undo } from '@gatehouse/protocol';
import type { Snapshot } from './types.ts';

/**
 * Whether what a tool does can be undone. An operator says so; a server that marks its tool as destructive can only make it worse (law 2),
 * and where nobody has said anything it can't.
 */
export function undoOf({ servers }: Pick<Snapshot, 'servers'>, ref: string): Undo {
  const [server = '', ...rest] = ref.split('/');
  const name = rest.join('/');
  const registered = servers.get(server);
  const tools = registered?.manifest.tools ?? {};
  const said = Object.hasOwn(tools, name) ? tools[name]?.undo : undefined;
  const annotations = registered?.tools.get(name)?.definition?.annotations;
  const isDestructive =
    typeof annotations === 'object' &&
    annotations !== null &&
    !Array.isArray(annotations) &&
    annotations.destructiveHint === true;
  if (!said) return { possible: 'no', how: null, withinSeconds: null, isSaid: false, isDestructive };
  return {
    possible: isDestructive ? 'no' : said.possible,
    how: said.how ?? null,
    withinSeconds: said.withinSeconds ?? null,
    isSaid: true,
    isDestructive,
  };
}
