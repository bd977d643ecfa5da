import type { DefinitionView } from '@gatehouse/protocol';
import { IconCircleCheck, IconCircleDashed, IconHandStop } from '@tabler/icons-react';
import { Badge } from '../../ui/badge.tsx';

export function DefinitionState({ state }: { state: DefinitionView['state'] }) {
  if (state === 'approved')
    return (
      <Badge hue="green" icon={IconCircleCheck} title="The server serves what was approved">
        Approved
      </Badge>
    );
  if (state === 'held')
    return (
      <Badge hue="amber" icon={IconHandStop} title="What the server serves was not approved: no agent can call it">
        Held back
      </Badge>
    );
  return (
    <Badge hue="gray" icon={IconCircleDashed} title="The server does not serve it (any more)">
      Missing
    </Badge>
  );
}
