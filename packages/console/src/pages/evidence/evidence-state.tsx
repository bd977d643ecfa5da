import type { EvidenceStatus } from '@gatehouse/protocol';
import { type Icon, IconCircleCheck, IconCircleDashed, IconCircleX, IconHelpCircle } from '@tabler/icons-react';
import type { Hue } from '../../lib/words.ts';
import { Badge } from '../../ui/badge.tsx';

const states: Record<EvidenceStatus, { label: string; hue: Hue; icon: Icon }> = {
  met: { label: 'Met', hue: 'green', icon: IconCircleCheck },
  'not-met': { label: 'Not met', hue: 'red', icon: IconCircleX },
  'no-data': { label: 'Nothing happened', hue: 'gray', icon: IconCircleDashed },
  'not-covered': { label: 'Not covered', hue: 'amber', icon: IconHelpCircle },
};

export function EvidenceState({ status }: { status: EvidenceStatus }) {
  const { label, hue, icon } = states[status];
  return (
    <Badge hue={hue} icon={icon}>
      {label}
    </Badge>
  );
}
