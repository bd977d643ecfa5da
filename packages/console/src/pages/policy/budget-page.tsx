import type { BudgetCounter, BudgetManifest } from '@gatehouse/protocol';
import { Skeleton } from '@mantine/core';
import { IconGauge } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { budgetQuery } from '../../api/queries.ts';
import { percentOf, restartWords, usedWords } from '../../lib/budget.ts';
import { exactUtc, inZone } from '../../lib/time.ts';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Card, Empty, Fact, Facts, Failure, Page, Section } from '../../ui/page.tsx';
import { Json, PlainText } from '../../ui/text.tsx';
import { OverBadge } from './budgets-page.tsx';
import { UsageBar } from './usage-bar.tsx';

export function BudgetPage() {
  const { name } = useParams({ from: '/house/policy/budgets/$name' });
  const budget = useInfiniteQuery(budgetQuery(name));
  const crumb = (
    <Link to="/policy/budgets" className="gh-link">
      Budgets
    </Link>
  );
  const shown = budget.data?.pages[0];
  if (!shown) {
    return (
      <Page title={name} crumb={crumb}>
        {budget.error ? (
          <Failure error={budget.error} retry={() => void budget.refetch()} />
        ) : (
          <Skeleton height={240} radius="md" />
        )}
      </Page>
    );
  }
  return (
    <Page
      title={name}
      crumb={crumb}
      heading={
        <>
          <span>{name}</span>
          <OverBadge over={shown.over} />
        </>
      }
      about={shown.description && <PlainText text={shown.description} />}
    >
      <Section title="Limit">
        <Card>
          <Facts>
            <Fact name="At most">{shown.limit}</Fact>
            <Fact name="Covers">{coveredBy(shown.manifest)}</Fact>
            <Fact name="Zone of its window">
              <code>{shown.manifest.zone}</code>
            </Fact>
            <Fact name="When a tool reports a failure">
              {shown.manifest.giveBackOnFailure ? 'the call counts no more' : 'the call stays counted'}
            </Fact>
          </Facts>
        </Card>
      </Section>
      <Section title="What is used" count={shown.counters}>
        <DataTable
          label={`What is used of ${name}`}
          rows={budget.data?.pages.flatMap(({ items }) => items)}
          rowKey={({ for: whom }) => whom}
          columns={columns(shown.manifest)}
          more={
            budget.hasNextPage
              ? { load: () => void budget.fetchNextPage(), loading: budget.isFetchingNextPage }
              : undefined
          }
          empty={
            <Empty
              icon={IconGauge}
              title="Nothing is used now"
              about="Each call that it covers counts with its dispatch, and shows here at once."
            />
          }
        />
      </Section>
      <Section title="Manifest">
        <Card>
          <Json value={shown.manifest} />
        </Card>
      </Section>
    </Page>
  );
}

function coveredBy({ tools, effects, domains, templates, agents, environments }: BudgetManifest): string {
  const said = [
    tools && `tools ${tools.join(', ')}`,
    effects && `that ${effects.join(' or ')}`,
    domains && `of ${domains.join(', ')}`,
    templates && `under ${templates.join(', ')}`,
    agents && `by ${agents.join(', ')}`,
    environments && `in ${environments.join(', ')}`,
  ];
  return said.filter((each) => each !== undefined).join(' · ');
}

const columns = (manifest: BudgetManifest): Column<BudgetCounter>[] => [
  { header: 'For', cell: ({ for: whom }) => <PlainText text={whom || 'everything together'} />, width: '30%' },
  {
    header: 'Used',
    cell: ({ used }) => (
      <span style={{ display: 'grid', gap: 8 }}>
        {used.map((each) => (
          <UsageBar key={each.limit} percent={percentOf(each)} words={usedWords(each)} />
        ))}
      </span>
    ),
  },
  {
    header: 'Starts again',
    cell: ({ until }) =>
      until === null ? (
        <span className="gh-quiet">{restartWords(manifest)}</span>
      ) : (
        <time dateTime={until} title={exactUtc(until)}>
          {inZone(until, manifest.zone)}
        </time>
      ),
    align: 'end',
  },
];
