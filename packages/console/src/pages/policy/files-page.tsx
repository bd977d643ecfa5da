import type { PolicyFileSummary, TemplateManifest } from '@gatehouse/protocol';
import { Button } from '@mantine/core';
import { IconFileText, IconPlus, IconTemplate } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { policiesQuery, templatesQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { plural } from '../../lib/words.ts';
import { Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Empty, Section } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { PolicyPage } from './policy-page.tsx';

export function PolicyFilesPage() {
  const policies = useInfiniteQuery(policiesQuery);
  const templates = useQuery(templatesQuery);
  const navigate = useNavigate();
  const obstacle = needsRole(useSession(), ['admin'], 'Making a policy');
  return (
    <PolicyPage
      title="Policies"
      actions={
        <Button
          variant="default"
          leftSection={<IconPlus size={15} />}
          disabled={obstacle !== null}
          title={obstacle ?? undefined}
          onClick={() => void navigate({ to: '/policy/new' })}
        >
          New policy file
        </Button>
      }
      about="What decides: permits come from the templates, and policy files narrow them, raise them to a person’s approval, or add to them."
    >
      <Section title="Policy files">
        <DataTable
          label="Policy files"
          rows={policies.data?.pages.flatMap(({ items }) => items)}
          rowKey={({ name }) => name}
          link={({ name }) => ({ to: '/policy/files/$name', params: { name } })}
          columns={fileColumns}
          error={policies.error}
          retry={() => void policies.refetch()}
          more={
            policies.hasNextPage
              ? { load: () => void policies.fetchNextPage(), loading: policies.isFetchingNextPage }
              : undefined
          }
          empty={<Empty icon={IconFileText} title="There are no policy files" />}
        />
      </Section>
      <Section title="Templates" count={templates.data?.items.length}>
        <DataTable
          label="Templates"
          rows={templates.data?.items}
          rowKey={({ name }) => name}
          link={({ name }) => ({ to: '/policy/playground', search: { template: name } })}
          columns={templateColumns}
          error={templates.error}
          retry={() => void templates.refetch()}
          empty={
            <Empty
              icon={IconTemplate}
              title="There are no templates"
              about="A template says what a kind of task may do. Without one nothing is permitted: apply a manifest of kind Template."
            />
          }
        />
      </Section>
    </PolicyPage>
  );
}

export function FileBadges({ builtIn, mode }: Pick<PolicyFileSummary, 'builtIn' | 'mode'>) {
  return (
    <>
      {builtIn && (
        <Badge hue="blue" title="Part of Gatehouse; environments can switch its rules off one by one">
          built in
        </Badge>
      )}
      {mode === 'observe' ? (
        <Badge hue="amber" title="Evaluated and counted, and never part of a decision">
          observed only
        </Badge>
      ) : (
        <Badge hue="green">enforced</Badge>
      )}
    </>
  );
}

const fileColumns: Column<PolicyFileSummary>[] = [
  { header: 'Name', cell: ({ name }) => <span className="gh-mono">{name}</span> },
  { header: 'State', cell: (file) => <FileBadges {...file} /> },
  { header: 'Length', cell: ({ lines }) => plural(lines, 'line'), align: 'end' },
];

const templateColumns: Column<TemplateManifest>[] = [
  { header: 'Name', cell: ({ name }) => <span className="gh-mono">{name}</span>, width: '22%' },
  { header: 'What for', cell: ({ description }) => description && <PlainText text={description} />, hide: 'medium' },
  { header: 'Parameters', cell: ({ parameters }) => Object.keys(parameters).join(', ') || 'none' },
  {
    header: 'Allows',
    cell: ({ allow }) => allow.map((entry) => allowed(entry)).join(' · ') || 'nothing',
    width: '34%',
  },
];

const allowed = ({ tools, effects, domains }: TemplateManifest['allow'][number]): string =>
  tools?.join(', ') ?? `${effects?.join(', ') ?? 'anything'} in ${domains?.join(', ') ?? 'any domain'}`;
