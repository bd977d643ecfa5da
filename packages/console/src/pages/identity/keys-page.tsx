import type { KeyEncryptionView, KeyPurposeView, RewrapView } from '@gatehouse/protocol';
import { Button, Skeleton } from '@mantine/core';
import { IconKey } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { keysQuery } from '../../api/queries.ts';
import { needsRole, type Obstacle, useSession } from '../../app/session.ts';
import { commands } from '../../lib/commands.ts';
import { Badge } from '../../ui/badge.tsx';
import { DataTable } from '../../ui/data-table.tsx';
import { FormDialog } from '../../ui/dialog.tsx';
import { KeyState } from '../../ui/key-state.tsx';
import { notify } from '../../ui/notices.tsx';
import { Card, Empty, Failure, Section } from '../../ui/page.tsx';
import { Command, Identifier } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import classes from './identity.module.css';
import { IdentityPage } from './identity-page.tsx';
import { Rotate, RotateButtons } from './rotate.tsx';

export function KeysPage() {
  const session = useSession();
  const keys = useQuery(keysQuery);
  const [rotating, setRotating] = useState<{ purpose: string; compromised: boolean } | null>(null);
  const obstacle = needsRole(session, ['admin', 'security'], 'Rotating keys');
  return (
    <IdentityPage
      title="Keys"
      about="What this house signs with, and what seals its secrets. Keys rotate by themselves, with overlap; here it can be done now."
    >
      {keys.error && <Failure error={keys.error} retry={() => void keys.refetch()} />}
      {keys.isPending && <Skeleton height={360} radius="md" />}
      <div className={classes.stack}>
        {keys.data?.purposes.map((purpose) => (
          <Purpose
            key={purpose.purpose}
            purpose={purpose}
            obstacle={obstacle}
            rotate={(compromised) => setRotating({ purpose: purpose.purpose, compromised })}
          />
        ))}
      </div>
      {keys.data && <Encryption keys={keys.data.encryption} rewrap={keys.data.rewrap} />}
      {rotating && <RotateKeys {...rotating} close={() => setRotating(null)} />}
    </IdentityPage>
  );
}

interface PurposeProps {
  purpose: KeyPurposeView;
  obstacle: Obstacle;
  rotate: (compromised: boolean) => void;
}

/** What changes the keys that can't be rotated, by purpose. */
const instead: Record<string, () => string> = { log: () => commands.newLog, 'x509-root': commands.newRoot };

function Purpose({
  purpose: { purpose, signs, algorithm, keys, nextRotation, whyFixed },
  obstacle,
  rotate,
}: PurposeProps) {
  const otherwise = instead[purpose];
  return (
    <article className={classes.card} aria-label={purpose}>
      <div className={classes.cardHead}>
        <h2 className="gh-mono">{purpose}</h2>
        <Badge hue="gray">{algorithm}</Badge>
        {whyFixed === null ? (
          <span className={classes.badges}>
            <RotateButtons obstacle={obstacle} rotate={rotate} />
          </span>
        ) : (
          <span />
        )}
      </div>
      <p>
        Signs {signs}.{' '}
        {nextRotation === null ? (
          (whyFixed ?? 'It does not rotate by itself.')
        ) : (
          <>
            Rotates by itself <When at={nextRotation} as="relative" />.
          </>
        )}
      </p>
      {otherwise && (
        <div className={classes.otherwise}>
          <Command>{otherwise()}</Command>
        </div>
      )}
      <ul className={classes.keys}>
        {keys.map(({ kid, state, createdAt, signsFrom }) => (
          <li key={kid}>
            <KeyState state={state} />
            <Identifier value={kid} what="key id" />
            <span className="gh-quiet">
              made <When at={createdAt} as="relative" />
              {state === 'next' && (
                <>
                  , signs <When at={signsFrom} as="relative" />
                </>
              )}
            </span>
          </li>
        ))}
      </ul>
    </article>
  );
}

function RotateKeys({ purpose, compromised, close }: { purpose: string; compromised: boolean; close: () => void }) {
  const { form } = useChange(() => call('POST /keys/:purpose/rotate', { params: { purpose }, body: { compromised } }), {
    refresh: ['keys', 'trust-domain'],
    done({ acknowledged, expired }) {
      const count = acknowledged.length + expired.length;
      notify({
        message: compromised
          ? `The keys of ${purpose} are destroyed on ${count === 1 ? 'the only replica' : `all ${count} replicas`}.`
          : `The next key of ${purpose} is published.`,
      });
      close();
    },
  });
  return <Rotate what={purpose} compromised={compromised} close={close} {...form} />;
}

const encryptionStates = {
  current: { label: 'In use', hue: 'green', means: 'Everything new is sealed with it' },
  held: { label: 'Held', hue: 'blue', means: 'Known to the server; it can be made the one in use' },
  retiring: { label: 'Retiring', hue: 'amber', means: 'Some values are still sealed with it' },
  retired: { label: 'Retired', hue: 'gray', means: 'Nothing is sealed with it any more' },
} as const;

function Encryption({ keys, rewrap }: { keys: KeyEncryptionView[]; rewrap: RewrapView }) {
  const session = useSession();
  const [asking, setAsking] = useState(false);
  const obstacle = needsRole(session, ['admin'], 'Sealing secrets anew');
  return (
    <Section
      title="Key-encryption keys"
      count={keys.length}
      actions={
        <Button
          variant="default"
          disabled={obstacle !== null || rewrap.state === 'running'}
          title={obstacle ?? 'Seal every stored secret anew'}
          onClick={() => setAsking(true)}
        >
          Re-wrap…
        </Button>
      }
    >
      <Progress rewrap={rewrap} />
      <DataTable
        label="Key-encryption keys"
        rows={keys}
        rowKey={({ id }) => id}
        columns={[
          { header: 'Key', cell: ({ id }) => <Identifier value={id} what="key id" /> },
          { header: 'Comes from', cell: ({ source }) => <code className="gh-break">{source}</code> },
          {
            header: 'State',
            cell: ({ state }) => (
              <Badge hue={encryptionStates[state].hue} title={encryptionStates[state].means}>
                {encryptionStates[state].label}
              </Badge>
            ),
          },
          { header: 'On this replica', cell: ({ held }) => (held ? 'yes' : <Badge hue="amber">not held</Badge>) },
          { header: 'Known since', cell: ({ createdAt }) => <When at={createdAt} />, hide: 'medium' },
        ]}
        empty={<Empty icon={IconKey} title="No key-encryption key" />}
      />
      {asking && <Rewrap close={() => setAsking(false)} />}
    </Section>
  );
}

function Progress({ rewrap: { state, looked, of, rewrapped, problem } }: { rewrap: RewrapView }) {
  if (state === 'idle') return null;
  const words = {
    running: `Sealing anew: ${looked} of ${of} values looked at, ${rewrapped} sealed`,
    done: `Done: ${rewrapped} of ${of} values were sealed anew`,
    failed: `It stopped after ${looked} of ${of} values: ${problem ?? 'see the server’s log'}`,
  };
  return (
    <div className={classes.progress} role="status">
      <Card>
        {words[state]}
        {state === 'running' && (
          <progress value={looked} max={Math.max(of, 1)} aria-label="Values looked at" className={classes.bar} />
        )}
      </Card>
    </div>
  );
}

function Rewrap({ close }: { close: () => void }) {
  const { form } = useChange(() => call('POST /keys/rewrap', { body: {} }), { refresh: ['keys'], done: close });
  return (
    <FormDialog title="Seal every stored secret anew?" button="Re-wrap" {...form} close={close}>
      <p>
        Signing keys, secrets and grants are sealed with the key-encryption key that this server is set up with, one by
        one, while it runs. Nothing breaks if it is interrupted: start it again.
      </p>
    </FormDialog>
  );
}
