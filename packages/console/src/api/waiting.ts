import type { DefinitionView } from '@gatehouse/protocol';
import { useQuery } from '@tanstack/react-query';
import { waitingForReview } from '../lib/definitions.ts';
import { definitionsQuery, serversQuery } from './queries.ts';

/** Definitions that wait for a reviewer; undefined until it is known. */
export function useWaitingDefinitions(): DefinitionView[] | undefined {
  const definitions = useQuery(definitionsQuery).data?.items;
  const servers = useQuery(serversQuery).data?.items;
  return definitions && servers && waitingForReview(definitions, servers);
}
