import type { ApprovalState } from '@gatehouse/protocol';
import { approvalStates } from './words.ts';

/** `untrusted`, `changed` or `sensitive:KIND`, as people say it. */
export const labelWords = (label: string): string =>
  label === 'untrusted'
    ? 'untrusted content'
    : label === 'changed'
      ? 'changed in the database'
      : label.startsWith('sensitive:')
        ? `${label.slice(10)} data`
        : label;

/** How a label reached the task: by its own reading, from a task that it was handed on from, or from what its agent keeps. */
export function throughWords(
  through: string,
  task: string,
): { kind: 'own' | 'task' | 'other'; id: string; words: string } {
  const [kind = '', id = ''] = through.split(/\/(.*)/s);
  if (kind === 'task' && id === task) return { kind: 'own', id, words: 'this task' };
  if (kind === 'task') return { kind: 'task', id, words: 'a task that handed on to it' };
  if (kind === 'agent') return { kind: 'other', id, words: `what ${id} keeps` };
  return { kind: 'other', id, words: through };
}

export const isApprovalState = (state: string): state is ApprovalState => Object.hasOwn(approvalStates, state);
