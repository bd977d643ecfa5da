import type { AgentView, PublicJwk } from '@gatehouse/protocol';
import { ActionIcon, Button, Modal } from '@mantine/core';
import { IconKeyOff, IconTrash } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../../api/client.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { commands } from '../../lib/commands.ts';
import { thumbprint } from '../../lib/thumbprint.ts';
import { Card, Empty, Failure } from '../../ui/page.tsx';
import { Command, Identifier } from '../../ui/text.tsx';
import classes from './agent.module.css';

/** Public halves only: the private key never leaves the agent. */
export function AgentKeys({ agent }: { agent: AgentView }) {
  const session = useSession();
  const obstacle = needsRole(session, ['admin', 'security', 'developer'], 'Removing a key');
  const [removing, setRemoving] = useState<string | null>(null);
  const { keys } = agent.manifest;
  const prints = useQuery({
    queryKey: ['thumbprints', keys],
    queryFn: () => Promise.all(keys.map(async (key) => ({ key, print: await thumbprint(key) }))),
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (keys.length === 0) {
    return (
      <Card padded={false}>
        <Empty
          icon={IconKeyOff}
          title="No key: this agent can’t prove itself"
          about="Make one on the agent’s own machine. The private half stays there; the public half comes here:"
        >
          <Command>{commands.enrol(agent.name)}</Command>
        </Empty>
      </Card>
    );
  }
  return (
    <Card padded={false}>
      {prints.error && <Failure error={prints.error} />}
      <ul className={classes.keys}>
        {prints.data?.map(({ key, print }) => (
          <li key={print}>
            <div>
              <Identifier value={print} what="thumbprint" />
              <div className="gh-quiet">{kindOf(key)}</div>
            </div>
            <ActionIcon
              onClick={() => setRemoving(print)}
              disabled={obstacle !== null}
              title={obstacle ?? 'Remove this key'}
              aria-label={`Remove the key ${print}`}
            >
              <IconTrash size={16} />
            </ActionIcon>
          </li>
        ))}
      </ul>
      {removing !== null && <RemoveKey agent={agent.name} print={removing} close={() => setRemoving(null)} />}
    </Card>
  );
}

function RemoveKey({ agent, print, close }: { agent: string; print: string; close: () => void }) {
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: () => call('DELETE /agents/:name/keys/:thumbprint', { params: { name: agent, thumbprint: print } }),
    onSuccess: (after) => {
      queries.setQueryData(['agents', agent], after);
      close();
    },
  });
  return (
    <Modal opened onClose={close} title="Remove this key?">
      <p style={{ marginTop: 0 }}>
        Whoever holds it can no longer prove to be <strong>{agent}</strong>. Tokens that were given on it run out by
        themselves; to stop the agent now, kill it.
      </p>
      {remove.error && <Failure error={remove.error} />}
      <div style={{ display: 'flex', justifyContent: 'flex-end', gap: 8, marginTop: 16 }}>
        <Button variant="default" onClick={close} data-autofocus>
          Keep it
        </Button>
        <Button color="red.9" loading={remove.isPending} onClick={() => remove.mutate()}>
          Remove the key
        </Button>
      </div>
    </Modal>
  );
}

const kindOf = (key: PublicJwk): string => (key.kty === 'EC' ? 'ECDSA P-256 (ES256)' : 'Ed25519 (EdDSA)');
