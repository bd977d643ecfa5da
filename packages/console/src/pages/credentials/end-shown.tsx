import type { ShownLease } from '@gatehouse/protocol';
import { TextInput } from '@mantine/core';
import { IconKeyOff } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../../api/client.ts';
import { explain } from '../../api/problem.ts';
import { mayEndLease, useSession } from '../../app/session.ts';
import { isLive } from '../../lib/lease-words.ts';
import { plural } from '../../lib/words.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { Confirm } from '../../ui/dialog.tsx';
import { notify } from '../../ui/notices.tsx';

const AT_ONCE = 4;

/** Where a provider or an agent's tools are no longer trusted: all that the filter shows, in one move. */
export function EndShownButton({ leases, hasMore }: { leases: readonly ShownLease[]; hasMore: boolean }) {
  const session = useSession();
  const [ending, setEnding] = useState<readonly ShownLease[] | null>(null);
  const live = leases.filter(isLive);
  const obstacle = live.map((lease) => mayEndLease(session, lease)).find((each) => each !== null) ?? null;
  return (
    <>
      {live.length > 1 && (
        <AllowedButton
          obstacle={obstacle}
          color="var(--gh-red-fg)"
          variant="outline"
          leftSection={<IconKeyOff size={15} />}
          onClick={() => setEnding(live)}
        >
          Revoke all {live.length} shown
        </AllowedButton>
      )}
      {ending && <EndThose leases={ending} hasMore={hasMore} close={() => setEnding(null)} />}
    </>
  );
}

function EndThose(props: { leases: readonly ShownLease[]; hasMore: boolean; close: () => void }) {
  const { leases, hasMore, close } = props;
  const queries = useQueryClient();
  const [reason, setReason] = useState('');
  const end = useMutation({
    mutationFn: () => endAll(leases, reason),
    onSuccess: (failed) => {
      const begun = leases.length - failed.length;
      notify({
        color: failed.length === 0 ? 'green' : 'red',
        title: `${plural(begun, 'credential')} being ended`,
        message: failed.length === 0 ? 'The list shows each until it is verified to be gone.' : failed.join(' '),
      });
      close();
    },
    onSettled: () => void queries.invalidateQueries({ queryKey: ['leases'] }),
  });
  return (
    <Confirm
      title={`Revoke ${plural(leases.length, 'credential')} now?`}
      button={`Revoke ${leases.length} now`}
      close={close}
      pending={end.isPending}
      error={end.error}
      submit={() => end.mutate()}
    >
      <p>
        They are of {namesOf(leases, 'provider')}, for {namesOf(leases, 'agent')}. Calls that are under way with them
        may fail. {hasMore && 'The list has more than are shown: those stay.'}
      </p>
      <p>
        Tasks go on, and their next calls are made with others. To stop an agent, kill it; to stop a provider, take its
        manifest back.
      </p>
      <TextInput
        label="Why (optional, goes into the record)"
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        maxLength={500}
        data-autofocus
      />
    </Confirm>
  );
}

const namesOf = (leases: readonly ShownLease[], what: 'provider' | 'agent') =>
  [...new Set(leases.map((lease) => lease[what] || 'nobody (tests)'))].join(', ');

/** Gives what was refused, in words. One that fails keeps no other back. */
async function endAll(leases: readonly ShownLease[], reason: string): Promise<string[]> {
  const failed: string[] = [];
  const left = [...leases];
  const worker = async () => {
    for (let lease = left.shift(); lease; lease = left.shift()) {
      const { id, name } = lease;
      await call('POST /leases/:id/revoke', { params: { id }, body: { reason } }).catch((error: unknown) => {
        failed.push(`${name}: ${explain(error).detail}`);
      });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return failed;
}
