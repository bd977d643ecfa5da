import type { DefinitionView } from '@gatehouse/protocol';

/** Held, and nobody has said no to what is served now. */
export const isWaiting = ({ state, reviewedAt }: DefinitionView): boolean => state === 'held' && reviewedAt === null;

export const isRejected = ({ state, reviewedAt }: DefinitionView): boolean => state === 'held' && reviewedAt !== null;

const kinds: Record<DefinitionView['kind'], string> = {
  tool: 'Tool',
  prompt: 'Prompt',
  'resource-template': 'Resource template',
  resource: 'Resource',
  instructions: 'Server instructions',
};

export const kindLabel = (kind: DefinitionView['kind']): string => kinds[kind];

export const titleOf = ({ kind, server, name }: Pick<DefinitionView, 'kind' | 'server' | 'name'>): string =>
  kind === 'tool' ? `${server}/${name}` : kind === 'instructions' ? server : `${server}: ${name}`;

export const keyOf = ({ kind, server, name }: Pick<DefinitionView, 'kind' | 'server' | 'name'>): string =>
  `${server}\n${kind}\n${name}`;
