import type { DefinitionView, ServerView } from '@gatehouse/protocol';

type Named = Pick<DefinitionView, 'kind' | 'server' | 'name'>;

/** Held, nobody has said no to what is served now, and a yes would make it usable. */
export function waitingForReview(definitions: DefinitionView[], servers: ServerView[]): DefinitionView[] {
  const byName = new Map(servers.map((server) => [server.name, server]));
  return definitions
    .filter((each) => each.state === 'held' && each.reviewedAt === null && isGranted(each, byName.get(each.server)))
    .sort((a, b) => Number(b.approved !== null) - Number(a.approved !== null) || b.seenAt - a.seenAt);
}

/** What a server serves although its manifest grants none of it: nobody can approve that here, and no agent sees it. */
export function notGranted(definitions: DefinitionView[], server: ServerView): DefinitionView[] {
  return definitions.filter((each) => each.state === 'held' && each.server === server.name && !isGranted(each, server));
}

function isGranted({ kind, name }: Named, server: ServerView | undefined): boolean {
  if (!server || kind === 'instructions') return server !== undefined;
  if (kind === 'tool') return Object.hasOwn(server.manifest.tools, name);
  return (kind === 'prompt' ? server.manifest.prompts : server.manifest.resources) !== undefined;
}

export const isRejected = ({ state, reviewedAt }: DefinitionView): boolean => state === 'held' && reviewedAt !== null;

const kinds: Record<DefinitionView['kind'], string> = {
  tool: 'Tool',
  prompt: 'Prompt',
  'resource-template': 'Resource template',
  resource: 'Resource',
  instructions: 'Server instructions',
};

export const kindLabel = (kind: DefinitionView['kind']): string => kinds[kind];

export const titleOf = ({ kind, server, name }: Named): string =>
  kind === 'tool' ? `${server}/${name}` : kind === 'instructions' ? server : `${server}: ${name}`;

export const keyOf = ({ kind, server, name }: Named): string => `${server}\n${kind}\n${name}`;
