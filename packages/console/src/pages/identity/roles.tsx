import type { RoleView } from '@gatehouse/protocol';
import { IconUsers } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { rolesQuery } from '../../api/queries.ts';
import { Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Empty, Section } from '../../ui/page.tsx';
import classes from './identity.module.css';

interface Right {
  action: string;
  words: string;
  who: { name: RoleView['name']; onOwn: boolean }[];
  everybody: boolean;
}

const columns: Column<Right>[] = [
  { header: 'What', cell: ({ words }) => words },
  { header: 'Who may', cell: (right) => <Who {...right} /> },
];

/** As the policies in force have it: a workspace can narrow and widen them. */
export function Roles() {
  const roles = useQuery(rolesQuery);
  return (
    <Section title="What each role may do">
      <DataTable
        label="What each role may do"
        rows={roles.data && rightsOf(roles.data.items)}
        rowKey={({ action }) => action}
        columns={columns}
        error={roles.error}
        retry={() => void roles.refetch()}
        empty={<Empty icon={IconUsers} title="No policy lets anybody do anything" />}
      />
      <p className={classes.hint}>Operator is whoever has this server’s host.</p>
    </Section>
  );
}

/** What may be done, once each, with who may; what everybody may comes first, in one. */
function rightsOf(roles: RoleView[]): Right[] {
  const rights = new Map<string, Right>();
  for (const { name, may } of roles)
    for (const { action, words, onOwn } of may) {
      const right = rights.get(action) ?? { action, words, who: [], everybody: false };
      right.who.push({ name, onOwn });
      rights.set(action, right);
    }
  const people = roles.filter(({ name }) => name !== 'operator').length;
  for (const right of rights.values())
    right.everybody = right.who.filter(({ name, onOwn }) => name !== 'operator' && !onOwn).length === people;
  const [common = [], others = []] = [true, false].map((everybody) =>
    [...rights.values()].filter((right) => right.everybody === everybody),
  );
  const [first] = common;
  return first ? [{ ...first, words: common.map(({ words }) => words).join('; ') }, ...others] : others;
}

function Who({ who, everybody }: Right) {
  if (everybody) return 'everybody';
  return (
    <span className={classes.badges}>
      {who.map(({ name, onOwn }) => (
        <Badge key={name} hue="gray" {...(onOwn && { title: 'Of the agents that they own' })}>
          {onOwn ? `${name}: own agents` : name}
        </Badge>
      ))}
    </span>
  );
}
