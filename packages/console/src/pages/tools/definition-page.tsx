import type { DefinitionView } from '@gatehouse/protocol';
import { Skeleton } from '@mantine/core';
import { IconTool } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams, useSearch } from '@tanstack/react-router';
import { definitionsQuery, toolsQuery } from '../../api/queries.ts';
import { isRejected, kindLabel, titleOf } from '../../lib/definitions.ts';
import { actorName } from '../../lib/words.ts';
import { Badge, EffectBadges, TierBadge } from '../../ui/badge.tsx';
import { Card, Empty, Fact, Facts, Failure, Page, Section } from '../../ui/page.tsx';
import { Identifier, Json, PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import { DefinitionDiff } from './definition-diff.tsx';
import { DefinitionState } from './definition-state.tsx';
import { Review } from './review-card.tsx';
import classes from './tools.module.css';

export function DefinitionPage() {
  const { server } = useParams({ from: '/house/tools/$server' });
  const { kind = 'tool', name = '' } = useSearch({ from: '/house/tools/$server' });
  const definitions = useQuery(definitionsQuery);
  const definition = definitions.data?.items.find(
    (each) => each.server === server && each.kind === kind && each.name === name,
  );
  const title = titleOf({ server, kind: kind as DefinitionView['kind'], name });
  const crumb = (
    <Link to="/tools" className="gh-link">
      Tools
    </Link>
  );
  if (!definition) {
    return (
      <Page title={title} crumb={crumb}>
        {definitions.error && <Failure error={definitions.error} retry={() => void definitions.refetch()} />}
        {definitions.isLoading && <Skeleton height={320} radius="md" />}
        {definitions.data && (
          <Card padded={false}>
            <Empty
              icon={IconTool}
              title="No definition is known"
              about={`${server} has not served it. Ask it again on the page Tools.`}
            />
          </Card>
        )}
      </Page>
    );
  }
  return <Definition definition={definition} title={title} crumb={crumb} />;
}

interface DefinitionProps {
  definition: DefinitionView;
  title: string;
  crumb: React.ReactNode;
}

function Definition({ definition, title, crumb }: DefinitionProps) {
  const { approved, served, state, kind } = definition;
  const tool = useQuery(toolsQuery).data?.items.find(({ ref }) => kind === 'tool' && ref === title);
  return (
    <Page
      title={title}
      crumb={crumb}
      heading={
        <>
          <span className="gh-mono">
            <PlainText text={title} />
          </span>
          {tool && <TierBadge tier={tool.tier} />}
          <DefinitionState state={state} />
        </>
      }
      actions={
        tool && (
          <Link to="/actions" search={{ tool: title }} className="gh-link">
            Its calls
          </Link>
        )
      }
    >
      <Card>
        <Facts>
          <Fact name="Kind">
            <Badge hue="gray">{kindLabel(kind)}</Badge>
          </Fact>
          {tool && (
            <Fact name="Effects">
              <EffectBadges effects={tool.effects} />
            </Fact>
          )}
          {approved && (
            <Fact name="Approved">
              <Identifier value={approved.digest} what="digest" />
            </Fact>
          )}
          {served && served.digest !== approved?.digest && (
            <Fact name="Served now">
              <Identifier value={served.digest} what="digest" />
            </Fact>
          )}
          {definition.reviewedAt !== null && (
            <Fact name={isRejected(definition) ? 'Rejected' : 'Reviewed'}>
              {definition.reviewedBy && `by ${actorName(definition.reviewedBy)},`}{' '}
              <When at={definition.reviewedAt} as="both" />
            </Fact>
          )}
          <Fact name="First seen">
            <When at={definition.seenAt} as="both" />
          </Fact>
          {definition.reason && (
            <Fact name="Held back">
              <PlainText text={definition.reason} />
            </Fact>
          )}
        </Facts>
      </Card>
      {state === 'held' && served && (
        <Section title={approved ? 'What has changed' : 'What is served'}>
          <div className={classes.card}>
            <DefinitionDiff approved={approved?.body} served={served.body} />
            <Review definition={definition} digest={served.digest} />
          </div>
        </Section>
      )}
      {approved && (
        <Section title="As approved, and as agents see it">
          <Card>
            <Json value={approved.body} />
          </Card>
        </Section>
      )}
    </Page>
  );
}
