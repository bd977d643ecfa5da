import type { KeepingScope, SecondYesStatement } from '@gatehouse/protocol';
import { erasureStatement, holdEndStatement } from '@gatehouse/protocol/second-yes-statement';
import { Group } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { agreeWithPasskey, type SecondYesAnswer } from '../../api/passkeys.ts';
import { erasuresQuery, holdsQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { actorName } from '../../lib/words.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { Card, Failure, Section } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import { Reach } from './erasure-reach.tsx';
import { KeepDialog } from './keep-dialog.tsx';
import classes from './log.module.css';

const words = (scope: KeepingScope) =>
  Object.entries(scope)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');

/** What may not be removed, and what is to be erased: two people end the one and begin the other. */
export function Keeping() {
  const holds = useQuery(holdsQuery);
  const erasures = useQuery(erasuresQuery);
  const open = holds.data?.items.filter(({ endedAt }) => endedAt === null) ?? [];
  const recent = erasures.data?.items.slice(0, 20) ?? [];
  return (
    <Section title="Kept and erased">
      <Ask />
      {[holds, erasures].map(({ error, data, refetch }, index) =>
        error && !data ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: there are always these two
          <Failure key={index} error={error} retry={() => void refetch()} />
        ) : null,
      )}
      {open.map((hold) => (
        <Card key={hold.id}>
          <p className={classes.advice}>
            <strong>Held:</strong> <PlainText text={words(hold.scope)} />, since <When at={hold.placedAt} /> by{' '}
            {actorName(hold.placedBy)}: “<PlainText text={hold.reason} />”
          </p>
          {hold.endAskedBy === null && <AskEnd id={hold.id} />}
          {hold.endAskedBy && (
            <Decide
              what={`${actorName(hold.endAskedBy)} asks for its end.`}
              statement={holdEndStatement(hold)}
              agree={(body) => call('POST /holds/:id/agree', { params: { id: hold.id }, body })}
              refresh="holds"
            />
          )}
        </Card>
      ))}
      {recent.map((erasure) => (
        <Card key={erasure.id}>
          <p className={classes.advice}>
            <strong>Erase:</strong> <PlainText text={words(erasure.scope)} />, asked for <When at={erasure.askedAt} />{' '}
            by {actorName(erasure.askedBy)}: “<PlainText text={erasure.reason} />”
          </p>
          {erasure.state === 'waiting' && <Reach scope={erasure.scope} />}
          {erasure.state === 'waiting' ? (
            <Decide
              what="It waits for a second person. What is erased does not come back."
              statement={erasureStatement(erasure)}
              agree={(body) => call('POST /erasures/:id/agree', { params: { id: erasure.id }, body })}
              reject={() => call('POST /erasures/:id/reject', { params: { id: erasure.id } })}
              refresh="erasures"
            />
          ) : (
            <p className="gh-quiet">
              {erasure.state}: {erasure.erased} bodies erased, {erasure.held} actions kept by a hold
            </p>
          )}
        </Card>
      ))}
    </Section>
  );
}

function useMayAsk() {
  return needsRole(useSession(), ['admin', 'security'], 'This');
}

function Ask() {
  const obstacle = useMayAsk();
  const [asking, setAsking] = useState<'hold' | 'erase' | null>(null);
  return (
    <Group gap="xs">
      <AllowedButton obstacle={obstacle} onClick={() => setAsking('hold')}>
        Place a legal hold
      </AllowedButton>
      <AllowedButton obstacle={obstacle} onClick={() => setAsking('erase')}>
        Ask for an erasure
      </AllowedButton>
      {asking && <KeepDialog what={asking} close={() => setAsking(null)} />}
    </Group>
  );
}

function AskEnd({ id }: { id: string }) {
  const obstacle = useMayAsk();
  const { form } = useChange(() => call('POST /holds/:id/end', { params: { id } }), { refresh: ['holds'] });
  return (
    <>
      <AllowedButton obstacle={obstacle} loading={form.pending} onClick={form.submit}>
        Ask for its end
      </AllowedButton>
      {form.error && <Failure error={form.error} />}
    </>
  );
}

export function Decide(props: {
  what: string;
  statement: SecondYesStatement | null;
  agree: (answer: SecondYesAnswer) => Promise<unknown>;
  reject?: () => Promise<unknown>;
  refresh: string;
}) {
  const { what, statement, refresh } = props;
  const session = useSession();
  const isOwn = statement?.askedBy === `person:${session.person.email}`;
  const ownQuestion = isOwn ? 'You have asked: somebody else has to agree.' : null;
  const role = useMayAsk();
  const agree = useChange(async () => statement && props.agree(await agreeWithPasskey(statement)), {
    refresh: [refresh],
  });
  const reject = useChange(async () => props.reject?.(), { refresh: [refresh] });
  const error = agree.form.error ?? reject.form.error;
  return (
    <>
      <p className="gh-quiet">{what}</p>
      <Group gap="xs">
        <AllowedButton
          variant="filled"
          obstacle={role ?? ownQuestion}
          loading={agree.form.pending}
          onClick={agree.form.submit}
        >
          Agree with passkey
        </AllowedButton>
        {props.reject && (
          <AllowedButton obstacle={role} loading={reject.form.pending} onClick={reject.form.submit}>
            Refuse
          </AllowedButton>
        )}
      </Group>
      {error && <Failure error={error} />}
    </>
  );
}
