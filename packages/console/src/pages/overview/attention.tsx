import { type Icon, IconCircleCheck, IconGavel, IconRobot, IconShieldX, IconTool } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, type LinkProps } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { agentsQuery, pendingApprovalsQuery } from '../../api/queries.ts';
import { useWaitingDefinitions } from '../../api/waiting.ts';
import { timeLeft } from '../../lib/time.ts';
import { type Hue, plural, standingOf } from '../../lib/words.ts';
import { useNow } from '../../ui/when.tsx';
import classes from './attention.module.css';

/** What wants a person now, and how the house stands: four numbers that lead to their pages. */
export function Attention() {
  const now = useNow();
  const approvals = useQuery(pendingApprovalsQuery).data;
  const agents = useQuery(agentsQuery).data;
  const held = useWaitingDefinitions()?.length;
  const active = agents?.filter((agent) => standingOf(agent) === 'active').length;
  const killed = agents?.filter((agent) => standingOf(agent) === 'killed').length;
  const tasks = agents?.reduce((sum, agent) => sum + agent.activeTasks, 0);
  const soonest = approvals?.length ? Math.min(...approvals.map(({ expiresAt }) => expiresAt)) : null;
  const left = soonest === null ? null : timeLeft(soonest, now);

  return (
    <div className={classes.tiles}>
      <Tile
        link={{ to: '/approvals' }}
        icon={approvals?.length === 0 ? IconCircleCheck : IconGavel}
        hue={approvals?.length ? 'amber' : 'gray'}
        count={approvals?.length}
        label="waiting for approval"
        about={unless(approvals) ?? (left ? `the first runs out in ${left}` : 'nothing waits')}
      />
      <Tile
        link={{ to: '/tools' }}
        icon={IconTool}
        hue={held ? 'amber' : 'gray'}
        count={held}
        label={held === 1 ? 'changed definition' : 'changed definitions'}
        about={unless(held) ?? (held ? 'held back until reviewed' : 'all tools are as approved')}
      />
      <Tile
        link={{ to: '/agents' }}
        icon={IconRobot}
        hue="gray"
        count={active}
        label={active === 1 ? 'active agent' : 'active agents'}
        about={unless(tasks) ?? plural(tasks ?? 0, 'running task')}
      />
      <Tile
        link={{ to: '/agents', search: { filter: 'killed' } }}
        icon={IconShieldX}
        hue={killed ? 'red' : 'gray'}
        count={killed}
        label={killed === 1 ? 'killed agent' : 'killed agents'}
        about={unless(killed) ?? (killed ? 'stopped on every replica' : 'none is stopped')}
      />
    </div>
  );
}

/** What is not known, as long as it isn't, is not nothing. */
const unless = (known: unknown) => (known === undefined ? 'not known yet' : null);

interface TileProps {
  link: Pick<LinkProps, 'to' | 'search'>;
  icon: Icon;
  hue: Hue;
  count: number | undefined;
  label: string;
  about: ReactNode;
}

function Tile({ link, icon: Glyph, hue, count, label, about }: TileProps) {
  return (
    <Link {...link} className={classes.tile} data-hue={hue}>
      <Glyph size={18} stroke={1.7} aria-hidden />
      <span className={classes.number}>{count ?? '–'}</span>
      <span className={classes.label}>{label}</span>
      <span className={classes.about}>{about}</span>
    </Link>
  );
}
