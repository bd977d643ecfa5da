import type { Delegation } from '@gatehouse/protocol';
import { IconBan, IconCircleCheck, IconCircleDashed, IconEye } from '@tabler/icons-react';
import { Badge } from '../../ui/badge.tsx';

const states = {
  active: { label: 'In force', hue: 'green', icon: IconCircleCheck, means: 'The agent may start tasks under it' },
  'review-due': {
    label: 'Review due',
    hue: 'amber',
    icon: IconEye,
    means: 'Of no use to the agent until its person has looked at it again',
  },
  expired: { label: 'Run out', hue: 'gray', icon: IconCircleDashed, means: 'Its time is over' },
  revoked: { label: 'Revoked', hue: 'red', icon: IconBan, means: 'Taken back; the tasks that rested on it have ended' },
} as const;

export function DelegationState({ state }: { state: Delegation['state'] }) {
  const { label, hue, icon, means } = states[state];
  return (
    <Badge hue={hue} icon={icon} title={means}>
      {label}
    </Badge>
  );
}
