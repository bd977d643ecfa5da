import type { ApprovalState, Effect, Task, Tier } from '@gatehouse/protocol';
import {
  type Icon,
  IconAlertTriangle,
  IconArchive,
  IconBan,
  IconCircleCheck,
  IconCircleDashed,
  IconCircleX,
  IconHelpCircle,
  IconHourglassHigh,
  IconMessageReport,
  IconNotebook,
  IconPlayerPause,
  IconPlayerPlay,
  IconPlayerStop,
  IconShieldX,
} from '@tabler/icons-react';
import type { ReactNode } from 'react';
import {
  type ActionStatus,
  type AgentStanding,
  approvalStates,
  graveEffects,
  type Hue,
  risks,
  standings,
  statuses,
  taskStates,
  tiers,
} from '../lib/words.ts';
import classes from './badge.module.css';

interface BadgeProps {
  hue: Hue;
  icon?: Icon;
  title?: string;
  children: ReactNode;
}

export function Badge({ hue, icon: Glyph, title, children }: BadgeProps) {
  return (
    <span className={`${classes.badge} ${classes[hue]} ${Glyph ? '' : classes.plain}`} title={title}>
      {Glyph && <Glyph size={13} stroke={2} aria-hidden />}
      {children}
    </span>
  );
}

export function TierBadge({ tier }: { tier: Tier }) {
  const { label, means, hue } = tiers[tier];
  return (
    <span className={`${classes.badge} ${classes[hue]}`} title={means}>
      <span className={classes.number} role="img" aria-label={`Tier ${tier}`}>
        {tier}
      </span>
      {label}
    </span>
  );
}

const statusIcons: Record<ActionStatus, Icon> = {
  waiting: IconHourglassHigh,
  refused: IconBan,
  running: IconPlayerPlay,
  success: IconCircleCheck,
  failure: IconCircleX,
  anomalous: IconAlertTriangle,
  unknown: IconHelpCircle,
  recorded: IconNotebook,
};

export function StatusBadge({ status }: { status: ActionStatus }) {
  const { label, means, hue } = statuses[status];
  return (
    <Badge hue={hue} icon={statusIcons[status]} title={means}>
      {label}
    </Badge>
  );
}

const standingIcons: Record<AgentStanding, Icon> = {
  active: IconCircleCheck,
  draft: IconCircleDashed,
  suspended: IconPlayerPause,
  killed: IconShieldX,
  retired: IconArchive,
};

export function StandingBadge({ standing }: { standing: AgentStanding }) {
  const { label, hue } = standings[standing];
  return (
    <Badge hue={hue} icon={standingIcons[standing]}>
      {label}
    </Badge>
  );
}

const approvalIcons: Record<ApprovalState, Icon> = {
  pending: IconHourglassHigh,
  approved: IconCircleCheck,
  consumed: IconCircleCheck,
  denied: IconBan,
  expired: IconCircleDashed,
  cancelled: IconCircleX,
};

export function ApprovalBadge({ state }: { state: ApprovalState }) {
  const { label, hue } = approvalStates[state];
  return (
    <Badge hue={hue} icon={approvalIcons[state]}>
      {label}
    </Badge>
  );
}

const taskIcons = {
  active: IconPlayerPlay,
  ended: IconPlayerStop,
  expired: IconCircleDashed,
  killed: IconShieldX,
  suspended: IconPlayerPause,
} as const;

const lifeOf = ({ expiresAt, suspended }: TaskLife, now: number) =>
  expiresAt <= now ? 'expired' : suspended ? 'suspended' : 'active';

type TaskLife = Pick<Task, 'state' | 'expiresAt' | 'suspended'>;

export function TaskBadge({ task, now }: { task: TaskLife; now: number }) {
  const state = task.state !== 'active' ? task.state : lifeOf(task, now);
  return (
    <Badge hue={taskStates[state].hue} icon={taskIcons[state]}>
      {taskStates[state].label}
    </Badge>
  );
}

export function RiskBadge({ risk }: { risk: 'low' | 'medium' | 'high' }) {
  const { label, hue } = risks[risk];
  return (
    <Badge hue={hue} title={`Risk rating: ${label.toLowerCase()}`}>
      {label} risk
    </Badge>
  );
}

export function EffectBadges({ effects }: { effects: readonly Effect[] }) {
  return (
    <span style={{ display: 'inline-flex', gap: 4, flexWrap: 'wrap' }}>
      {effects.map((effect) => (
        <Badge key={effect} hue={graveEffects.includes(effect) ? 'orange' : 'gray'} title={`What it does: ${effect}`}>
          {effect}
        </Badge>
      ))}
    </span>
  );
}

export function EnvironmentBadge({ name }: { name: string }) {
  const production = /^prod/.test(name);
  return (
    <Badge hue={production ? 'violet' : 'gray'} title={`Environment: ${name}`}>
      {name}
    </Badge>
  );
}

/** On everything that only the agent says of itself: it is recorded and shown, and grants nothing. */
export function Declared() {
  return (
    <Badge
      hue="amber"
      icon={IconMessageReport}
      title="The agent says so; nobody vouches for it. Recorded and shown, and it grants nothing."
    >
      declared by the agent, not verified
    </Badge>
  );
}
