import { Button, Select } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { call } from '../../api/client.ts';
import { providersQuery } from '../../api/credential-queries.ts';
import { agentsQuery } from '../../api/queries.ts';
import { Card, Failure, Section } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';

/** A person lets an agent use an account of theirs. An address fills the form in and no more: what counts is what they press. */
export function ConnectAccount({
  asked,
}: {
  asked: { provider?: string | undefined; agent?: string | undefined; scopes?: string | undefined };
}) {
  const [provider, setProvider] = useState(asked.provider ?? '');
  const [agent, setAgent] = useState(asked.agent ?? '');
  const providers = useQuery(providersQuery).data?.items.filter(({ type }) => type === 'oauth');
  const agents = useQuery(agentsQuery).data;
  const scopes = provider === asked.provider ? asked.scopes?.split(' ').filter(Boolean) : undefined;
  const begin = useMutation({
    mutationFn: () => call('POST /accounts', { body: { provider, agent, ...(scopes?.length && { scopes }) } }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (provider !== '' && agent !== '') begin.mutate();
  };
  if (providers?.length === 0) return null;
  const begun = begin.data;
  return (
    <Section title="Let an agent use an account of mine">
      <Card>
        {begun ? (
          <>
            <p>
              At <PlainText text={begun.issuer} mono /> you will be asked to grant this. In tasks that are yours, and in
              no others, tools that {agent} calls then act with your account:
            </p>
            <ul>
              {begun.scopes.map((each) => (
                <li key={each}>
                  <PlainText text={each} mono />
                </li>
              ))}
            </ul>
            <p>Their access to it is sent to these tool servers, and nowhere else:</p>
            <ul>
              {begun.destinations.map((each) => (
                <li key={each}>
                  <PlainText text={each} mono />
                </li>
              ))}
            </ul>
            <Button component="a" href={begun.url}>
              Go on to grant it
            </Button>{' '}
            <span className="gh-quiet">
              until <When at={begun.expiresAt} />, in this browser
            </span>
          </>
        ) : (
          <form onSubmit={submit}>
            <Select
              label="Provider"
              data={(providers ?? []).map(({ name }) => name)}
              value={provider || null}
              onChange={(value) => setProvider(value ?? '')}
            />
            <Select
              label="Agent"
              searchable
              data={(agents ?? []).map(({ name }) => name)}
              value={agent || null}
              onChange={(value) => setAgent(value ?? '')}
            />
            {scopes !== undefined && scopes.length > 0 && (
              <p>
                Asked for: <PlainText text={scopes.join(' ')} mono />
              </p>
            )}
            <Failure error={begin.error} />
            <Button type="submit" mt="sm" loading={begin.isPending} disabled={provider === '' || agent === ''}>
              Show what I would grant
            </Button>
          </form>
        )}
      </Card>
    </Section>
  );
}
