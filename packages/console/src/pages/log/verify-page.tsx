import { mountVerifier } from '@gatehouse/verifier/page';
import { Skeleton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import { logsQuery } from '../../api/queries.ts';
import { Card, Page, Section } from '../../ui/page.tsx';
import classes from './verify.module.css';

/** Where the build puts what stands alone. */
const downloads = [
  {
    file: 'gatehouse-verify.html',
    about: 'this page as one file; it works without a network, and without this server',
  },
  { file: 'gatehouse-verify.mjs', about: 'the same as a program for Node, and as a module for programs of yours' },
];

export function VerifyPage() {
  const logs = useQuery(logsQuery);
  const first = logs.data?.items[0];
  return (
    <Page
      title="Verify"
      crumb={<Link to="/log">Log</Link>}
      about="Receipts and logs are checked in this browser. The keys below are those that this server gives: to trust it less, put the keys there that you have from elsewhere."
    >
      <Card>
        {logs.isLoading ? (
          <Skeleton height={320} radius="md" />
        ) : (
          <Verifier
            keys={logs.data?.items.map(({ vkey }) => vkey).join('\n') ?? ''}
            address={first ? `${location.origin}/log/${encodeURIComponent(first.id)}` : ''}
          />
        )}
      </Card>
      <Section title="Without this server">
        <ul className={classes.downloads}>
          {downloads.map(({ file, about }) => (
            <li key={file}>
              <a href={`/verify/${file}`} download={file}>
                {file}
              </a>
              : {about}
            </li>
          ))}
        </ul>
      </Section>
    </Page>
  );
}

function Verifier({ keys, address }: { keys: string; address: string }) {
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => (root.current ? mountVerifier(root.current, { keys, address }) : undefined), [keys, address]);
  return <div ref={root} className={classes.verifier} />;
}
