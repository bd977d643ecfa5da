import type { ActionRecord, ActionView } from '@gatehouse/protocol';
import { changesInWords } from '@gatehouse/protocol/second-yes-statement';
import { Skeleton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { actionQuery } from '../../api/queries.ts';
import { actorName } from '../../lib/words.ts';
import { ApprovalBadge, Declared, EnvironmentBadge, StatusBadge, TierBadge } from '../../ui/badge.tsx';
import { Card, Fact, Facts, Failure, Page, Section } from '../../ui/page.tsx';
import { Arguments, Identifier, PlainText } from '../../ui/text.tsx';
import columns from '../agents/agent.module.css';
import { worthSaying } from './action-columns.tsx';
import { ApprovalProofs } from './approval-proof.tsx';
import { DownloadReceipt } from './receipt.tsx';
import { ResolveUnknown } from './resolve.tsx';
import { Steps } from './steps.tsx';

export function ActionPage() {
  const { id } = useParams({ from: '/house/actions/$id' });
  const action = useQuery(actionQuery(id));
  const crumb = (
    <Link to="/actions" className="gh-link">
      Actions
    </Link>
  );
  if (!action.data) {
    return (
      <Page title="Action" crumb={crumb}>
        {action.error ? (
          <Failure error={action.error} retry={() => void action.refetch()} />
        ) : (
          <Skeleton height={320} radius="md" />
        )}
      </Page>
    );
  }
  return <Action view={action.data} crumb={crumb} />;
}

function Action({ view, crumb }: { view: ActionView; crumb: React.ReactNode }) {
  const { summary } = view;
  const main = view.records.find(({ record }) => record.kind !== 'change')?.record ?? view.records[0]?.record;
  const said = worthSaying(summary);
  const isCall = main !== undefined && main.kind !== 'change';
  return (
    <Page
      title={summary.tool ?? summary.operation}
      crumb={crumb}
      heading={
        <>
          <span className={summary.tool ? 'gh-mono' : ''}>{summary.tool ?? summary.operation}</span>
          <StatusBadge status={summary.status} />
          {summary.decision && <TierBadge tier={summary.decision.tier} />}
          {main?.environment && <EnvironmentBadge name={main.environment} />}
        </>
      }
      about={said && <PlainText text={said} />}
      actions={
        <>
          <Identifier value={summary.actionId} what="id" />
          <DownloadReceipt view={view} />
        </>
      }
    >
      <div className={columns.columns}>
        <Section title="Timeline">
          <Steps view={view} />
        </Section>
        <div>
          {summary.status === 'unknown' && <ResolveUnknown summary={summary} />}
          {isCall && (
            <Section title="Arguments">
              <Arguments value={view.arguments} />
            </Section>
          )}
          {summary.decision && (
            <Section title="Decision">
              <Card>
                <DecisionFacts view={view} />
              </Card>
            </Section>
          )}
          <ApprovalProofs view={view} />
          {main && (
            <Section title="Who and what">
              <Card>
                <RecordFacts record={main} />
              </Card>
            </Section>
          )}
          {main?.intent && (
            <Section title="What the agent says" actions={<Declared />}>
              <Card>
                <DeclaredFacts record={main} />
              </Card>
            </Section>
          )}
        </div>
      </div>
    </Page>
  );
}

function DecisionFacts({ view: { summary, approval } }: { view: ActionView }) {
  const { decision } = summary;
  if (!decision) return null;
  return (
    <Facts>
      <Fact name="Effect">
        {{ allow: 'Allowed', deny: 'Refused', 'needs-approval': 'Needs approval' }[decision.effect]}
      </Fact>
      <Fact name="Reason">{decision.reason}</Fact>
      <Fact name="Code">
        <code>{decision.code}</code>
      </Fact>
      <Fact name="Determined by">
        {decision.policies.length === 0 ? (
          <span className="gh-quiet">no policy: what nothing permits is refused</span>
        ) : (
          decision.policies.map((policy) => <code key={policy}>{policy}</code>)
        )}
      </Fact>
      <Fact name="Policy version">
        <Identifier value={decision.policyVersion} what="policy version" short />
      </Fact>
      <Fact name="Why">
        <Link to="/policy/playground" search={{ action: summary.actionId }} className="gh-link">
          explained condition by condition
        </Link>
      </Fact>
      {approval && (
        <Fact name="Approval">
          <ApprovalBadge state={approval.state} />
          <Link to="/approvals/$id" params={{ id: approval.id }} className="gh-link">
            {approval.decidedBy ? `by ${actorName(approval.decidedBy)}` : 'open it'}
          </Link>
        </Fact>
      )}
    </Facts>
  );
}

function RecordFacts({ record }: { record: ActionRecord }) {
  return (
    <Facts>
      {record.agent && (
        <Fact name="Agent">
          <Link to="/agents/$name" params={{ name: record.agent }} className="gh-link">
            {record.agent}
          </Link>
        </Fact>
      )}
      {record.actor_chain.length > 0 && (
        <Fact name="Actor chain">
          {record.actor_chain.map(({ sub }, index) => (
            <span key={sub} title={sub}>
              {index > 0 && '→ '}
              {actorName(sub)}
            </span>
          ))}
        </Fact>
      )}
      {record.task && (
        <Fact name="Task">
          <Link to="/tasks/$id" params={{ id: record.task }} className="gh-link">
            {record.template ?? record.task}
          </Link>
        </Fact>
      )}
      <Fact name="Operation">
        <code>{record.operation}</code>
      </Fact>
      {record.gateway && (
        <Fact name="Made by">
          <span title={record.gateway}>the gateway {actorName(record.gateway)}, which asked</span>
        </Fact>
      )}
      {record.resource && (
        <Fact name="Resource">
          <PlainText text={record.resource} />
        </Fact>
      )}
      {record.tool_definition && (
        <Fact name="Tool definition">
          <Identifier value={record.tool_definition} what="definition digest" short />
        </Fact>
      )}
      {record.arguments_digest && (
        <Fact name="Arguments digest">
          <Identifier value={record.arguments_digest} what="arguments digest" short />
        </Fact>
      )}
      {record.labels.length > 0 && <Fact name="Labels">{record.labels.join(', ')}</Fact>}
      {record.ticket && <Fact name="Ticket">{record.ticket}</Fact>}
      {record.change_request && <Fact name="Change request">{record.change_request}</Fact>}
      {record.changes.length > 0 && (
        <Fact name="Changes">
          {changesInWords(record).map((change) => (
            <PlainText key={change} text={change} />
          ))}
        </Fact>
      )}
    </Facts>
  );
}

function DeclaredFacts({ record }: { record: ActionRecord }) {
  const model = [record.model_provider, record.model].filter(Boolean).join(' / ');
  return (
    <Facts>
      <Fact name="Intent">
        <PlainText text={record.intent ?? ''} />
      </Fact>
      {record.requested_by && (
        <Fact name="Asked for by">
          <PlainText text={actorName(record.requested_by)} />
        </Fact>
      )}
      {record.on_behalf_of && (
        <Fact name="On behalf of">
          <PlainText text={actorName(record.on_behalf_of)} />
        </Fact>
      )}
      {model && (
        <Fact name="Model">
          <PlainText text={model} />
        </Fact>
      )}
    </Facts>
  );
}
