import type { Approval, ApprovalProgress, EndorsedValue, GrantRequest } from '@gatehouse/protocol';
import { Button, Checkbox } from '@mantine/core';
import { IconBan, IconFingerprint, IconRepeat } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { call } from '../../api/client.ts';
import { approvalProgressQuery } from '../../api/queries.ts';
import { mayApprove, mayDeny, useSession } from '../../app/session.ts';
import { mayBeGranted } from '../../lib/grant-request.ts';
import { notify } from '../../ui/notices.tsx';
import { Failure } from '../../ui/page.tsx';
import { useNow } from '../../ui/when.tsx';
import classes from './approval.module.css';
import { type Denial, DenyForm } from './deny-form.tsx';

// Most look and answer: what the rest takes is fetched when it is wanted.
const GrantMore = lazy(() => import('./grant-more.tsx').then(({ GrantMore }) => ({ default: GrantMore })));

/** Yes needs the passkey, over exactly what is shown; no needs nothing but a click. */
export function Decide({ approval }: { approval: Approval }) {
  const session = useSession();
  const queries = useQueryClient();
  const hasRunOut = approval.expiresAt <= useNow();
  const [denying, setDenying] = useState(false);
  const [granting, setGranting] = useState(false);
  const [endorsed, setEndorsed] = useState<ReadonlySet<string>>(new Set());
  // The link of a mail answers this one call and nothing beyond it.
  const mayMore = session.via !== 'mail';
  const held = mayMore ? heldIn(approval) : [];
  const isRelease = approval.operation === 'results/release';

  const settle = (after: Approval) => {
    queries.setQueryData(['approvals', 'one', after.id], after);
    void queries.invalidateQueries({ queryKey: ['approvals'] });
    void queries.invalidateQueries({ queryKey: ['agents'] });
    void queries.invalidateQueries({ queryKey: ['actions'] });
  };
  // Somebody else may have decided meanwhile: then the page must not go on showing it as open.
  const onError = () => void queries.invalidateQueries({ queryKey: ['approvals'] });
  const approve = useMutation({
    mutationFn: async (more: GrantRequest | undefined) => {
      const { approveWithPasskey } = await import('../../api/passkeys.ts');
      return approveWithPasskey(
        approval,
        held.filter((each) => endorsed.has(keyOf(each))),
        more,
      );
    },
    onSuccess: (after, more) => {
      settle(after);
      void queries.invalidateQueries({ queryKey: ['grants'] });
      notify(
        isRelease
          ? { color: 'green', title: 'Released', message: `The agent gets the result of ${after.tool} once.` }
          : after.state === 'pending'
            ? { color: 'green', title: 'Your yes is kept', message: 'It waits for somebody else as well.' }
            : {
                color: 'green',
                title: 'Approved',
                message: `${after.tool}, exactly as shown, once${more ? `, and ${more.calls} more within your bounds` : ''}.`,
              },
      );
    },
    onError,
  });
  const deny = useMutation({
    mutationFn: (denial: Denial) => call('POST /approvals/:id/deny', { params: { id: approval.id }, body: denial }),
    onSuccess: (after) => {
      settle(after);
      notify(
        isRelease
          ? { title: 'Discarded', message: `The result of ${after.tool} is deleted. The call has run.` }
          : { title: 'Denied', message: `${after.tool} will not run.` },
      );
    },
    onError,
  });
  const byRule = approval.rules.length > 0;
  const progress = useQuery({ ...approvalProgressQuery(approval), enabled: byRule });
  const cannotApprove = byRule ? notAskedOf(session.person.email, progress.data) : mayApprove(session, approval);
  // Whom a rule names is known to the server.
  const cannotDeny = byRule ? null : mayDeny(session, approval);
  if (hasRunOut)
    return <p className={classes.decided}>This has run out. If it is still wanted, the agent asks again.</p>;

  return (
    <div className={classes.decide}>
      {held.length > 0 && !denying && (
        <fieldset className={classes.endorse}>
          <legend>Also for later calls of this task</legend>
          <p className="gh-quiet">
            This call waits because these values come from what the task has read. Ticked, you vouch for them: later
            calls of this task with the same value in the same role are not held for it. Other values, other tasks and
            whatever else makes a call wait are as before. Leave it unticked to answer for this call alone.
          </p>
          {held.map((each) => (
            <Checkbox
              key={keyOf(each)}
              label={keyOf(each)}
              checked={endorsed.has(keyOf(each))}
              disabled={cannotApprove !== null || approve.isPending}
              onChange={({ currentTarget: { checked } }) =>
                setEndorsed((before) => {
                  const after = new Set(before);
                  if (checked) after.add(keyOf(each));
                  else after.delete(keyOf(each));
                  return after;
                })
              }
            />
          ))}
        </fieldset>
      )}
      {denying ? (
        <DenyForm
          isRelease={isRelease}
          maySuspend={!isRelease && mayMore}
          pending={deny.isPending}
          deny={deny.mutate}
          close={() => setDenying(false)}
        />
      ) : granting ? (
        <Suspense fallback={<p className="gh-quiet">Loading…</p>}>
          <GrantMore
            approval={approval}
            pending={approve.isPending}
            give={(more) => approve.mutate(more)}
            close={() => setGranting(false)}
          />
        </Suspense>
      ) : (
        <div className={classes.buttons}>
          <Button
            size="sm"
            leftSection={<IconFingerprint size={17} />}
            loading={approve.isPending}
            disabled={cannotApprove !== null}
            onClick={() => approve.mutate(undefined)}
            data-key="a"
          >
            {isRelease ? 'Release with passkey' : 'Approve with passkey'}
          </Button>
          <Button
            size="sm"
            variant="default"
            leftSection={<IconBan size={16} />}
            disabled={cannotDeny !== null || approve.isPending}
            onClick={() => setDenying(true)}
            data-key="d"
          >
            {isRelease ? 'Discard…' : 'Deny…'}
          </Button>
          {mayMore && mayBeGranted(approval) && cannotApprove === null && (
            <Button
              size="sm"
              variant="default"
              leftSection={<IconRepeat size={16} />}
              disabled={approve.isPending}
              onClick={() => setGranting(true)}
            >
              Allow more of these…
            </Button>
          )}
          {cannotApprove && <span className={classes.obstacle}>{cannotApprove}</span>}
        </div>
      )}
      {approve.error && !denying && <Failure error={approve.error} />}
      {deny.error && <Failure error={deny.error} />}
    </div>
  );
}

/** Rules say whose yes counts now; who has said it already sees whose is missing above. */
function notAskedOf(email: string, progress: ApprovalProgress | undefined): string | null {
  if (!progress) return 'Looking up whose yes it takes…';
  if (progress.mayApprove.includes(email)) return null;
  const said = progress.rules.some(({ steps }) =>
    steps.some(({ given }) => given.some(({ person }) => person === email)),
  );
  return said ? 'You have said yes. It waits for somebody else.' : 'A yes of yours does not count here now.';
}

const keyOf = ({ role, value, for: covers = '' }: EndorsedValue) => `${role} ${value}, for ${covers}`;

/** Values that the call waits for: a yes can let them stand for the rest of the task. */
function heldIn({ origins }: Approval): EndorsedValue[] {
  return [...new Map(origins.flatMap(({ held }) => held.map((each) => [keyOf(each), each] as const))).values()].slice(
    0,
    20,
  );
}
