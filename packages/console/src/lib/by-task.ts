import type { ActionSummary } from '@gatehouse/protocol';

/** Neighbours of one task together, newest first, as they come from the API. */
export function byTask(actions: ActionSummary[]): { task: string | null; actions: ActionSummary[] }[] {
  const groups: { task: string | null; actions: ActionSummary[] }[] = [];
  const open = new Map<string, ActionSummary[]>();
  for (const action of actions) {
    const last = groups.at(-1);
    // What happened outside of tasks keeps its place in time; a task's own actions stay in one group.
    const group = action.task === null ? (last?.task === null ? last.actions : undefined) : open.get(action.task);
    if (group) group.push(action);
    else {
      const own = [action];
      groups.push({ task: action.task, actions: own });
      if (action.task !== null) open.set(action.task, own);
    }
  }
  return groups;
}
