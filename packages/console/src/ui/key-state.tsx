import { IconCircleCheck, IconClock, IconHistory } from '@tabler/icons-react';
import { Badge } from './badge.tsx';

const states = {
  next: { label: 'Next', hue: 'blue', icon: IconClock, means: 'Published, so that others know it before it signs' },
  signing: { label: 'Signing', hue: 'green', icon: IconCircleCheck, means: 'Signs now' },
  verifying: {
    label: 'Verifying only',
    hue: 'gray',
    icon: IconHistory,
    means: 'Signs no more; what it signed may still be alive',
  },
} as const;

export function KeyState({ state }: { state: keyof typeof states }) {
  const { label, hue, icon, means } = states[state];
  return (
    <Badge hue={hue} icon={icon} title={means}>
      {label}
    </Badge>
  );
}
