import type { AgentView } from '@gatehouse/protocol';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { pendingApprovalsQuery } from '../../api/queries.ts';
import { Badge } from '../../ui/badge.tsx';
import { Card, Fact, Facts, Section } from '../../ui/page.tsx';
import { Identifier, PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import { ApprovalCard } from '../approvals/approval-card.tsx';
import { LeasesOfAgent } from '../credentials/leases-of.tsx';
import classes from './agent.module.css';
import { AgentActions } from './agent-actions.tsx';
import { AgentBaseline } from './agent-baseline.tsx';
import { AgentFrame } from './agent-frame.tsx';
import { AgentKeys } from './agent-keys.tsx';
import { AgentTasks } from './agent-tasks.tsx';

export function AgentPage() {
  const { name } = useParams({ from: '/house/agents/$name' });
  return (
    <AgentFrame name={name}>
      {(agent) => (
        <>
          <Waiting agent={name} />
          <div className={classes.columns}>
            <Section title="Identity">
              <Card>
                <AgentFacts agent={agent} />
              </Card>
            </Section>
            <Section title="Keys" count={agent.manifest.keys.length}>
              <AgentKeys agent={agent} />
            </Section>
          </div>
          <LeasesOfAgent agent={name} />
          <AgentBaseline agent={name} />
          <AgentTasks agent={name} />
          <AgentActions agent={name} />
        </>
      )}
    </AgentFrame>
  );
}

export function AgentFacts({ agent }: { agent: AgentView }) {
  const { manifest, spiffeId, killedAt, epoch } = agent;
  return (
    <Facts>
      <Fact name="SPIFFE ID">
        <Identifier value={spiffeId} what="SPIFFE ID" />
      </Fact>
      <Fact name="Owner">
        <Link to="/identity/people/$email" params={{ email: manifest.owner }} className="gh-link">
          {manifest.owner}
        </Link>
      </Fact>
      <Fact name="Blueprint">{manifest.blueprint}</Fact>
      {manifest.description && (
        <Fact name="Description">
          <PlainText text={manifest.description} />
        </Fact>
      )}
      <Fact name="Tokens">
        {manifest.bearerOnly ? (
          <Badge hue="orange" title="Whoever holds a token can use it, until it runs out">
            bearer only: not bound to a key
          </Badge>
        ) : (
          'bound to the agent’s key (DPoP)'
        )}
        {manifest.certificateBound && <Badge hue="green">and to its client certificate (mTLS)</Badge>}
      </Fact>
      {manifest.credentialSeconds !== undefined && (
        <Fact name="Credentials">live {manifest.credentialSeconds} s at most</Fact>
      )}
      {killedAt !== null && (
        <Fact name="Killed">
          <When at={killedAt} as="both" />
        </Fact>
      )}
      <Fact name="Epoch">
        <span
          className="gh-numbers"
          title="Grows when the agent is killed or changes its state; older tokens are refused"
        >
          {epoch}
        </span>
      </Fact>
    </Facts>
  );
}

/** What waits for a person comes first on the agent's page, too. */
function Waiting({ agent }: { agent: string }) {
  const pending = useQuery(pendingApprovalsQuery).data?.filter((approval) => approval.agent === agent);
  if (!pending?.length) return null;
  return (
    <Section title="Waiting for approval" count={pending.length}>
      <div className={classes.stack}>
        {pending.map((approval) => (
          <ApprovalCard key={approval.id} approval={approval} />
        ))}
      </div>
    </Section>
  );
}
