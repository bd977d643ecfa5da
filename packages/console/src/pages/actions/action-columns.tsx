import type { ActionSummary } from '@gatehouse/protocol';
import { StatusBadge, TierBadge } from '../../ui/badge.tsx';
import type { Column } from '../../ui/data-table.tsx';
import { Name, ToolName } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import classes from './action-columns.module.css';

/** How actions are listed everywhere: what was done, to what, by whom, what came of it. */
export function actionColumns({ agent }: { agent: boolean }): Column<ActionSummary>[] {
  return [
    { header: 'Action', cell: (action) => <What action={action} />, width: '28%' },
    ...(agent ? [{ header: 'Agent', cell: ({ agent: name }: ActionSummary) => name && <Name of={name} /> }] : []),
    { header: 'Tier', cell: ({ decision }) => decision && <TierBadge tier={decision.tier} />, hide: 'medium' },
    { header: 'Status', cell: ({ status }) => <StatusBadge status={status} /> },
    {
      header: 'Detail',
      cell: (action) => worthSaying(action) && <span className={classes.detail}>{worthSaying(action)}</span>,
      hide: 'medium',
      width: '34%',
    },
    { header: 'Time', cell: ({ time }) => <When at={time} />, align: 'end' },
  ];
}

/** That a policy permitted what was then sent goes without saying. */
export const worthSaying = ({ status, detail, decision }: ActionSummary): string | null =>
  status !== 'waiting' && status !== 'refused' && detail === decision?.reason ? null : detail;

function What({ action: { tool, operation, resource } }: { action: ActionSummary }) {
  return (
    <span className={classes.what}>
      {tool ? <ToolName tool={tool} /> : <span>{operation}</span>}
      {tool && operation !== 'tools/call' && <small>{operation}</small>}
      {resource && <small title={resource}>{resource}</small>}
    </span>
  );
}
