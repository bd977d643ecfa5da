import type { AgentView } from '@gatehouse/protocol';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { Fragment } from 'react';
import { agentIdentityQuery } from '../../api/queries.ts';
import { actorName } from '../../lib/words.ts';
import { Card, Fact, Facts, Failure, Section } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { Warning } from '../../ui/warning.tsx';
import { When } from '../../ui/when.tsx';
import { DelegationsTo } from '../delegations/delegations-to.tsx';
import classes from './agent.module.css';
import { AgentFrame } from './agent-frame.tsx';
import { AgentKeys } from './agent-keys.tsx';
import { AgentFacts } from './agent-page.tsx';
import { AgentTrustRules } from './agent-trust-rules.tsx';
import { CredentialsNow } from './credentials-now.tsx';
import { HandedOutToAgent } from './handed-out.tsx';
import { JoinTokens } from './join-tokens.tsx';

/** How the agent proves who it is, with what it could act now, and who else has a say in that. */
export function AgentIdentityPage() {
  const { name } = useParams({ from: '/house/agents/$name/identity' });
  return (
    <AgentFrame name={name} title={`Identity of ${name}`}>
      {(agent) => (
        <>
          {agent.manifest.bearerOnly && (
            <div className={classes.warning}>
              <Warning>
                Its tokens are not bound to a key: whoever gets hold of one can use it for as long as it lives (15
                minutes at most). Let its client use DPoP or mutual TLS, and take <code>bearerOnly</code> away.
              </Warning>
            </div>
          )}
          <CredentialsNow agent={agent} />
          <HandedOutToAgent agent={agent} />
          <div className={classes.columns}>
            <Section title="Identity">
              <Card>
                <AgentFacts agent={agent} />
              </Card>
            </Section>
            <Section title="Keys" count={agent.manifest.keys.length}>
              <AgentKeys agent={agent} />
              <HowEnrolled agent={name} />
            </Section>
          </div>
          <JoinTokens agent={agent} />
          <AgentTrustRules agent={name} />
          <DelegationsTo agent={name} />
          <Neighbours agent={agent} />
        </>
      )}
    </AgentFrame>
  );
}

function HowEnrolled({ agent }: { agent: string }) {
  const identity = useQuery(agentIdentityQuery(agent));
  const events = identity.data?.keyEvents;
  if (!events?.length) return null;
  return (
    <details className={classes.history} open>
      <summary>How its keys came and went</summary>
      <ol>
        {events.map(({ actionId, at, by, changes }) => (
          <li key={actionId} className={classes.historyItem}>
            <Link to="/actions/$id" params={{ id: actionId }} className="gh-link">
              <When at={at} />
            </Link>{' '}
            <PlainText text={changes.join('; ')} /> <span className="gh-quiet">by {actorName(by)}</span>
          </li>
        ))}
      </ol>
    </details>
  );
}

/** Other agents in its chains, and the programs that drive it. */
function Neighbours({ agent: { name, manifest } }: { agent: AgentView }) {
  const identity = useQuery(agentIdentityQuery(name));
  if (identity.error) return <Failure error={identity.error} retry={() => void identity.refetch()} />;
  return (
    <Section title="Works together with">
      <Card>
        <Facts>
          <Fact name="Hands its tasks on to">
            <Agents names={identity.data?.handsOnTo} />
          </Fact>
          <Fact name="Takes over tasks of">
            <Agents names={identity.data?.takesOverFrom} />
          </Fact>
          <Fact name="Driven by the clients">
            {manifest.clients?.length ? (
              <span className="gh-break">{manifest.clients.join(', ')}</span>
            ) : (
              <span className="gh-quiet">none is bound to it alone</span>
            )}
          </Fact>
        </Facts>
      </Card>
    </Section>
  );
}

function Agents({ names }: { names: string[] | undefined }) {
  if (names === undefined) return '…';
  if (names.length === 0) return <span className="gh-quiet">nobody</span>;
  return names.map((name, index) => (
    <Fragment key={name}>
      <Link to="/agents/$name/identity" params={{ name }} className="gh-link">
        {name}
      </Link>
      {index < names.length - 1 && ' '}
    </Fragment>
  ));
}
