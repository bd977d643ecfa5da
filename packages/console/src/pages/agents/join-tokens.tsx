import type { AgentView, JoinTokenView } from '@gatehouse/protocol';
import { Button, NumberInput, TextInput } from '@mantine/core';
import { IconPlus, IconTicket } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { joinTokensQuery } from '../../api/queries.ts';
import { mayOperate, useSession } from '../../app/session.ts';
import { actorName, listOf } from '../../lib/words.ts';
import { Badge } from '../../ui/badge.tsx';
import { DataTable } from '../../ui/data-table.tsx';
import { Confirm, FormDialog, ShownOnce } from '../../ui/dialog.tsx';
import { Empty, Section } from '../../ui/page.tsx';
import { Command } from '../../ui/text.tsx';
import { TimeLeft, useNow, When } from '../../ui/when.tsx';

/** For machines that no issuer vouches for. Shown to those who may make one. */
export function JoinTokens({ agent }: { agent: AgentView }) {
  const session = useSession();
  if (mayOperate(session, agent) !== null) return null;
  return <Tokens agent={agent.name} isRetired={agent.state === 'retired'} />;
}

function Tokens({ agent, isRetired }: { agent: string; isRetired: boolean }) {
  const now = useNow();
  const tokens = useQuery(joinTokensQuery(agent));
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<JoinTokenView | null>(null);
  return (
    <Section
      title="Join tokens"
      actions={
        <Button
          variant="default"
          leftSection={<IconPlus size={14} />}
          disabled={isRetired}
          onClick={() => setMaking(true)}
        >
          Make a join token
        </Button>
      }
    >
      <DataTable
        label={`Join tokens of ${agent}`}
        rows={tokens.data?.items}
        rowKey={({ id }) => id}
        columns={[
          { header: 'Made', cell: ({ createdAt }) => <When at={createdAt} /> },
          { header: 'By', cell: ({ createdBy }) => <span className="gh-break">{actorName(createdBy)}</span> },
          {
            header: 'Usable from',
            cell: ({ addresses }) => (addresses.length === 0 ? 'anywhere' : addresses.join(', ')),
          },
          {
            header: 'State',
            cell: ({ usedAt, expiresAt }) =>
              usedAt !== null ? (
                <Badge hue="gray">used</Badge>
              ) : expiresAt <= now ? (
                <Badge hue="gray">run out</Badge>
              ) : (
                <>
                  <Badge hue="amber">open</Badge> <TimeLeft until={expiresAt} />
                </>
              ),
          },
          {
            header: '',
            align: 'end',
            cell: (token) =>
              token.usedAt === null &&
              token.expiresAt > now && (
                <Button variant="default" onClick={() => setRevoking(token)}>
                  Revoke
                </Button>
              ),
          },
        ]}
        error={tokens.error}
        retry={() => void tokens.refetch()}
        empty={
          <Empty
            icon={IconTicket}
            title="No join token"
            about="With one, a machine that nobody vouches for enrols a key of its own, once. Where a platform vouches for it, a trust rule is better."
          />
        }
      />
      {making && <Make agent={agent} close={() => setMaking(false)} />}
      {revoking && <Revoke token={revoking} close={() => setRevoking(null)} />}
    </Section>
  );
}

function Make({ agent, close }: { agent: string; close: () => void }) {
  const [minutes, setMinutes] = useState<number | string>(60);
  const [addresses, setAddresses] = useState('');
  const { answer, form } = useChange(
    () =>
      call('POST /agents/:name/join-tokens', {
        params: { name: agent },
        body: { ttlSeconds: Number(minutes) * 60, addresses: listOf(addresses) },
      }),
    { refresh: ['join-tokens'] },
  );
  if (answer)
    return (
      <ShownOnce
        title={`Join token for ${agent}`}
        value={answer.token}
        about={
          <>
            It is shown only now, and works once; <TimeLeft until={answer.expiresAt} />. Whoever has it can become{' '}
            {agent}.
          </>
        }
        close={close}
      >
        <p>On the agent’s machine, with the token in a file that nobody else can read, or on standard input (-):</p>
        <Command>{`gatehouse agent enroll ${agent} --url ${location.origin} --join-token FILE`}</Command>
      </ShownOnce>
    );
  return (
    <FormDialog
      title={`Make a join token for ${agent}`}
      button="Make the token"
      ready={typeof minutes === 'number'}
      {...form}
      close={close}
    >
      <NumberInput
        size="xs"
        label="Usable for"
        value={minutes}
        onChange={setMinutes}
        min={1}
        max={1_440}
        suffix=" minutes"
        allowDecimal={false}
        hideControls
        required
        data-autofocus
      />
      <TextInput
        label="Only from (optional)"
        description="Addresses or ranges, such as 10.0.0.0/8"
        value={addresses}
        onChange={(event) => setAddresses(event.currentTarget.value)}
        spellCheck={false}
      />
    </FormDialog>
  );
}

function Revoke({ token: { id, agent }, close }: { token: JoinTokenView; close: () => void }) {
  const { form } = useChange(() => call('DELETE /agents/:name/join-tokens/:id', { params: { name: agent, id } }), {
    refresh: ['join-tokens'],
    done: close,
  });
  return (
    <Confirm title="Revoke this join token?" button="Revoke the token" {...form} close={close}>
      <p>Nobody can enrol a key for {agent} with it any more.</p>
    </Confirm>
  );
}
