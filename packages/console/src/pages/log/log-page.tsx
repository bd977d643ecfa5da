import type { Api } from '@gatehouse/protocol';
import { Button, Skeleton } from '@mantine/core';
import { IconAlertTriangle, IconBinaryTree2, IconDownload, IconShieldCheck } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { call } from '../../api/client.ts';
import { logsQuery } from '../../api/queries.ts';
import { checkpointOf } from '../../lib/checkpoint.ts';
import { commands } from '../../lib/commands.ts';
import { saveAs } from '../../lib/save.ts';
import { plural } from '../../lib/words.ts';
import { Card, Empty, Fact, Facts, Failure, Page, Section } from '../../ui/page.tsx';
import { Command, Identifier } from '../../ui/text.tsx';
import { Keeping } from './keeping.tsx';
import classes from './log.module.css';
import { Retention } from './retention.tsx';
import { Witnessing } from './witnessing.tsx';

type LogView = Api['GET /logs']['items'][number];

export function LogPage() {
  const logs = useQuery(logsQuery);
  return (
    <Page
      title="Log"
      about="Every record is a leaf of a Merkle tree, one tree for each replica. A checkpoint signs all of it: whoever kept one can tell if anything before it was changed."
      actions={<VerifyAll />}
    >
      <p className={classes.advice}>
        Records also go to where security works:{' '}
        <Link to="/sinks" className="gh-link">
          sinks
        </Link>
        .
      </p>
      {logs.error && !logs.data && <Failure error={logs.error} retry={() => void logs.refetch()} />}
      {logs.isLoading && <Skeleton height={220} radius="md" />}
      {logs.data?.items.length === 0 && (
        <Card padded={false}>
          <Empty icon={IconBinaryTree2} title="No log yet" about="The first record begins it." />
        </Card>
      )}
      {logs.data?.items.map((log) => (
        <Log key={log.id} log={log} />
      ))}
      {logs.data && <Witnessing logs={logs.data} />}
      <Retention />
      <Keeping />
      <Section title="Trust nobody, this server included">
        <p className={classes.advice}>
          Keep a checkpoint where the operator of this server can’t reach it. With it and the key, anybody can verify
          the log offline, without Gatehouse. Here, in a shell on the server’s host:
        </p>
        <Command>{commands.verifyLog()}</Command>
        <p className={classes.advice}>
          Or{' '}
          <Link to="/log/verify" className="gh-link">
            verify receipts and logs in this browser
          </Link>
          , also with a page that needs no server.
        </p>
      </Section>
    </Page>
  );
}

function VerifyAll() {
  const verify = useVerify(undefined);
  return (
    <>
      <Button
        size="sm"
        leftSection={<IconShieldCheck size={16} />}
        loading={verify.isPending}
        onClick={() => verify.mutate()}
      >
        Verify all logs
      </Button>
      <Verdict verify={verify} />
    </>
  );
}

function Log({ log }: { log: LogView }) {
  const verify = useVerify(log.id);
  const checkpoint = log.checkpoint === null ? null : checkpointOf(log.checkpoint);
  return (
    <Section
      title={<span className="gh-mono">{log.id}</span>}
      count={plural(log.size, 'record')}
      actions={
        <>
          <Verdict verify={verify} />
          <Button
            variant="default"
            leftSection={<IconShieldCheck size={14} />}
            loading={verify.isPending}
            onClick={() => verify.mutate()}
          >
            Verify
          </Button>
        </>
      }
    >
      <Card>
        <Facts>
          <Fact name="Verifier key">
            <Identifier value={log.vkey} what="verifier key" />
          </Fact>
          {checkpoint && (
            <>
              <Fact name="Last checkpoint">
                {plural(checkpoint.size, 'record')}
                {log.size > checkpoint.size && (
                  <span className="gh-quiet">({log.size - checkpoint.size} since then)</span>
                )}
              </Fact>
              <Fact name="Root hash">
                <Identifier value={checkpoint.root} what="root hash" />
              </Fact>
            </>
          )}
        </Facts>
        {log.checkpoint === null ? (
          <p className={classes.advice}>Nothing is signed yet.</p>
        ) : (
          <details className={classes.note}>
            <summary>Signed checkpoint</summary>
            <pre>{log.checkpoint}</pre>
            <Button
              variant="default"
              leftSection={<IconDownload size={14} />}
              onClick={() => saveAs(`checkpoint-${log.id.replaceAll('/', '-')}-${checkpoint?.size ?? 0}.json`, log)}
            >
              Keep it
            </Button>
          </details>
        )}
      </Card>
    </Section>
  );
}

const useVerify = (log: string | undefined) =>
  useMutation({ mutationFn: () => call('POST /logs/verify', { body: log === undefined ? {} : { log } }) });

function Verdict({ verify }: { verify: ReturnType<typeof useVerify> }) {
  if (verify.error) return <Failure error={verify.error} />;
  if (!verify.data) return null;
  return verify.data.ok ? (
    <span className={classes.ok} role="status">
      <IconShieldCheck size={16} aria-hidden /> {plural(verify.data.size, 'record')}, all as signed
      {verify.data.removed > 0 && `; ${verify.data.removed} removed by retention, as the log says`}
    </span>
  ) : (
    <span className={classes.bad} role="alert">
      <IconAlertTriangle size={16} aria-hidden /> {verify.data.problem}
    </span>
  );
}
