import type { TrustTest } from '@gatehouse/protocol';
import { Button, Textarea } from '@mantine/core';
import { IconCheck, IconCircleCheck, IconCircleX, IconX } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { call } from '../../api/client.ts';
import type { Obstacle } from '../../app/session.ts';
import { Card, Failure, Section } from '../../ui/page.tsx';
import { Json } from '../../ui/text.tsx';
import classes from './identity.module.css';

/** Says whom a token would stand for, and why not. Neither this page nor the server keeps it. */
export function TestToken({ obstacle }: { obstacle: Obstacle }) {
  const [token, setToken] = useState('');
  const test = useMutation({
    mutationFn: (given: string) => call('POST /trust-rules/test', { body: { token: given } }),
    gcTime: 0,
    onSettled: () => setToken(''),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (token.trim() !== '') test.mutate(token.trim());
  };
  return (
    <Section title="Test a token">
      <Card>
        <form onSubmit={submit} className={classes.test}>
          <Textarea
            label="Token of an outside issuer (JWT)"
            description="It is checked and explained, and not kept: neither here nor on the server."
            value={token}
            onChange={(event) => setToken(event.currentTarget.value)}
            maxLength={16_384}
            autosize
            minRows={2}
            maxRows={6}
            spellCheck={false}
            autoComplete="off"
            classNames={{ input: 'gh-mono' }}
            disabled={obstacle !== null}
          />
          <div className={classes.buttons}>
            <Button
              type="submit"
              loading={test.isPending}
              disabled={obstacle !== null || token.trim() === ''}
              title={obstacle ?? undefined}
            >
              Explain
            </Button>
          </div>
          {obstacle && <p className="gh-quiet">{obstacle}</p>}
          {test.error && <Failure error={test.error} />}
          {test.data && <Explanation test={test.data} />}
        </form>
      </Card>
    </Section>
  );
}

function Explanation({ test: { match, problem, claims, rules } }: { test: TrustTest }) {
  return (
    <div role="status">
      {match ? (
        <p className={classes.verdict}>
          <IconCircleCheck size={17} className={classes.good} aria-hidden />
          <span>
            Stands for <strong>{match.agent === null ? `workload ${match.workload}` : `agent ${match.agent}`}</strong>,
            by the rule <strong>{match.rule}</strong>.
          </span>
        </p>
      ) : (
        <p className={classes.verdict}>
          <IconCircleX size={17} className={classes.bad} aria-hidden />
          <span>
            <strong>Refused.</strong> {problem}
          </span>
        </p>
      )}
      {rules.map(({ rule, matches, checks }) => (
        <details key={rule} className={classes.rule} open={!matches || rules.length === 1}>
          <summary>
            {rule}: {matches ? 'fits' : 'does not fit'}
          </summary>
          <ul className={classes.checks}>
            {checks.map(({ what, ok, detail }) => (
              <li key={`${what} ${detail}`}>
                {ok ? (
                  <IconCheck size={15} className={classes.good} role="img" aria-label="fits" />
                ) : (
                  <IconX size={15} className={classes.bad} role="img" aria-label="does not fit" />
                )}
                <span>
                  <strong>{what}</strong> {detail}
                </span>
              </li>
            ))}
          </ul>
        </details>
      ))}
      {claims !== null && claims !== undefined && (
        <details className={classes.rule}>
          <summary>What it says{!match && ', whether or not it is true'}</summary>
          <div className={classes.said}>
            <Json value={claims} />
          </div>
        </details>
      )}
    </div>
  );
}
