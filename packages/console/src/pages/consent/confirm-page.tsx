import type { ConfirmationState, ConfirmationView } from '@gatehouse/protocol';
import { Skeleton } from '@mantine/core';
import { IconCircleCheck } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { call } from '../../api/client.ts';
import { confirmWithAssertion } from '../../api/passkeys.ts';
import { ApiError } from '../../api/problem.ts';
import { confirmationQuery } from '../../api/queries.ts';
import { Card, Empty, Fact, Facts, Failure, Page, Section } from '../../ui/page.tsx';
import { Json, PlainText } from '../../ui/text.tsx';
import { Warning } from '../../ui/warning.tsx';
import { TimeLeft, When } from '../../ui/when.tsx';
import { AnswerButtons } from './answer-buttons.tsx';
import classes from './consent.module.css';
import { ShownChanges } from './shown-changes.tsx';

const over: Record<Exclude<ConfirmationState, 'open'>, string> = {
  confirmed: 'Confirmed',
  refused: 'You have said no',
  used: 'Confirmed, and done',
};

/** Where a verb of the command line that could widen what agents or people may do sends its person. */
export function ConfirmPage() {
  const { id } = useParams({ from: '/house/confirm/$id' });
  const asked = useQuery(confirmationQuery(id));
  const [answer, setAnswer] = useState<'confirmed' | 'refused' | undefined>();
  const state = answer ?? asked.data?.state;
  return (
    <Page
      title="Confirm for the command line"
      about="A shell may be shared with an agent. Read what would be done, and who asks; only then answer."
    >
      {asked.error && !asked.data && <Failure error={asked.error} />}
      {asked.isLoading && <Skeleton height={320} radius="md" />}
      {asked.data && state === 'open' && (
        <Question asked={asked.data} onDone={setAnswer} again={() => void asked.refetch()} />
      )}
      {state !== undefined && state !== 'open' && (
        <Empty
          icon={IconCircleCheck}
          title={over[state]}
          about={
            state === 'refused'
              ? 'Nothing was done. You can close this page.'
              : 'Go back to the command line. You can close this page.'
          }
        />
      )}
    </Page>
  );
}

interface QuestionProps {
  asked: ConfirmationView;
  onDone: (answer: 'confirmed' | 'refused') => void;
  /** What was shown is not what is there any more, or is not fresh any more. */
  again: () => void;
}

function Question({
  asked: { id, digest, shown, commandLine, person, proof, ...times },
  onDone,
  again,
}: QuestionProps) {
  const yes = useMutation({
    mutationFn: () =>
      proof.by === 'passkey'
        ? confirmWithAssertion(id, digest)
        : call('POST /confirmations/:id/confirm', { params: { id }, body: { digest } }),
    onSuccess: () => onDone('confirmed'),
    onError: (error) => {
      if (error instanceof ApiError && error.code.startsWith('confirmation.')) again();
    },
  });
  const no = useMutation({
    mutationFn: () => call('POST /confirmations/:id/refuse', { params: { id } }),
    onSuccess: () => onDone('refused'),
  });
  return (
    <>
      <Card>
        <Facts>
          <Fact name="Who asks">
            <span>
              The command line{' '}
              {commandLine.host ? <PlainText text={commandLine.host} /> : 'of a computer without a name'}, signed in as{' '}
              {person.displayName} ({person.email}) since <When at={commandLine.since} />
            </span>
          </Fact>
          <Fact name="What">{shown.summary}</Fact>
          <Fact name="Request">
            <PlainText text={shown.request} mono />
          </Fact>
          <Fact name="Asked">
            <When at={times.createdAt} />
          </Fact>
          <Fact name="Time left">
            <TimeLeft until={times.expiresAt} />
          </Fact>
        </Facts>
        <Warning>
          Confirm only what you have just asked for yourself. If an agent works in that shell, it may have asked.
        </Warning>
        {shown.changesWhoGetsIn && (
          <Warning>This changes who gets in here and what they may do, approving included.</Warning>
        )}
      </Card>
      <Section title="What would be done" count={shown.changes?.length}>
        {shown.changes ? (
          <ShownChanges changes={shown.changes} />
        ) : (
          <Card>
            <Json value={shown.body ?? {}} />
          </Card>
        )}
        <p className={classes.note}>Good once, for exactly this, within ten minutes.</p>
      </Section>
      <AnswerButtons
        proof={proof}
        words={{ passkey: 'Confirm with passkey', plain: 'Confirm', no: 'Refuse' }}
        yes={yes}
        no={no}
      />
    </>
  );
}
