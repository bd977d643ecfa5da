import type { ActionSummary, RecordedResolution, Resolution } from '@gatehouse/protocol';
import { Radio, Stack, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { agentsQuery } from '../../api/queries.ts';
import { mayOperate, useSession } from '../../app/session.ts';
import { actorName } from '../../lib/words.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { FormDialog } from '../../ui/dialog.tsx';
import { Card, Fact, Facts, Section } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';

const answers: { what: Resolution['what']; label: string; means: string }[] = [
  { what: 'happened', label: 'It has happened', means: 'In this task the same call then asks a person.' },
  {
    what: 'not-happened',
    label: 'It has not happened',
    means: 'It counts no more on budgets, and the same call may run as its policies say.',
  },
  {
    what: 'cannot-be-known',
    label: 'Nobody can find out',
    means: 'It stays counted, and in this task the same call asks a person.',
  },
];

/** What somebody has found out about an action whose outcome is unknown, or the way to say it. */
export function ResolveUnknown({ summary }: { summary: ActionSummary }) {
  const { resolution, agent: name } = summary;
  const [open, setOpen] = useState(false);
  const session = useSession();
  const agent = useQuery(agentsQuery).data?.find((each) => each.name === name);
  const obstacle = agent ? mayOperate(session, agent) : 'The agent is not there any more.';
  return (
    <Section
      title="What came of it"
      actions={
        !resolution && (
          <AllowedButton obstacle={obstacle} onClick={() => setOpen(true)}>
            Say what happened…
          </AllowedButton>
        )
      }
    >
      <Card>
        {resolution ? (
          <Said resolution={resolution} />
        ) : (
          <p>
            It was sent, and nobody knows whether it ran. It is not sent again by itself. Look where it would have taken
            effect, with exactly these arguments, and say what you found.
          </p>
        )}
      </Card>
      {open && <ResolveDialog id={summary.actionId} close={() => setOpen(false)} />}
    </Section>
  );
}

function Said({ resolution: { what, by, at, note, reference } }: { resolution: RecordedResolution }) {
  return (
    <Facts>
      <Fact name="Found out">{answers.find((answer) => answer.what === what)?.label ?? what}</Fact>
      <Fact name="Note">
        <PlainText text={note} />
      </Fact>
      {reference && (
        <Fact name="Reference">
          <PlainText text={reference} />
        </Fact>
      )}
      <Fact name="Said by">
        {actorName(by)}, <When at={at} as="both" />
      </Fact>
    </Facts>
  );
}

function ResolveDialog({ id, close }: { id: string; close: () => void }) {
  const [what, setWhat] = useState<Resolution['what'] | null>(null);
  const [note, setNote] = useState('');
  const [reference, setReference] = useState('');
  const { form } = useChange(
    () =>
      call('POST /actions/:id/resolve', {
        params: { id },
        body: {
          what: what ?? 'cannot-be-known',
          note: note.trim(),
          ...(reference.trim() !== '' && { reference: reference.trim() }),
        },
      }),
    { refresh: ['actions'], done: close },
  );
  return (
    <FormDialog
      title="What came of this action?"
      button="Record it"
      ready={what !== null && note.trim() !== ''}
      close={close}
      {...form}
    >
      <Radio.Group value={what} onChange={(value) => setWhat(value as Resolution['what'])} label="It is said once">
        <Stack gap="xs" mt="xs">
          {answers.map((answer) => (
            <Radio key={answer.what} value={answer.what} label={answer.label} description={answer.means} />
          ))}
        </Stack>
      </Radio.Group>
      <TextInput
        label="Note"
        description="What you looked at, and what you saw"
        value={note}
        onChange={(event) => setNote(event.currentTarget.value)}
        maxLength={1_000}
        autoComplete="off"
      />
      <TextInput
        label="Reference"
        description="Where it can be looked up, if there is such a place"
        value={reference}
        onChange={(event) => setReference(event.currentTarget.value)}
        maxLength={500}
        autoComplete="off"
      />
    </FormDialog>
  );
}
