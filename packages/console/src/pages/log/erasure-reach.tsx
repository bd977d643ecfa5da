import type { ErasureReach, KeepingScope } from '@gatehouse/protocol';
import { addReach, reachLines } from '@gatehouse/protocol/erasure-reach';
import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../../api/client.ts';
import { Failure } from '../../ui/page.tsx';

/** Looks add up: each goes on for a moment, and says where the next one does. */
async function reachOf(scope: KeepingScope, signal: AbortSignal): Promise<ErasureReach> {
  let { cursor, ...total } = await call('GET /erasure-preview', { query: { ...scope }, signal });
  while (cursor !== null) {
    const { cursor: next, ...found } = await call('GET /erasure-preview', { query: { ...scope, cursor }, signal });
    [total, cursor] = [addReach(total, found), next];
  }
  return total;
}

/** What an erasure would take, for whoever is to agree. */
export function Reach({ scope }: { scope: KeepingScope }) {
  const [isAsked, setAsked] = useState(false);
  const found = useQuery({
    queryKey: ['erasure-preview', scope],
    queryFn: ({ signal }) => reachOf(scope, signal),
    enabled: isAsked,
    staleTime: 60_000,
  });
  if (!found.data)
    return (
      <>
        <Button
          variant="default"
          loading={found.isFetching}
          onClick={() => (isAsked ? found.refetch() : setAsked(true))}
        >
          See what it takes
        </Button>
        {found.error && <Failure error={found.error} />}
      </>
    );
  const { actions, held, exported } = found.data;
  const lines = reachLines(found.data);
  return (
    <div className="gh-quiet">
      <p>
        It is about {actions} actions; a hold keeps {held} of them.{' '}
        {lines.length === 0 ? 'Nothing is left to take.' : 'It takes:'}
      </p>
      <ul>
        {lines.map(([count, what]) => (
          <li key={what}>
            {count} {what}
          </li>
        ))}
        {exported.map(({ sink, records }) => (
          <li key={sink}>
            {sink} has {records} of these records already: what it keeps is not reached
          </li>
        ))}
      </ul>
    </div>
  );
}
