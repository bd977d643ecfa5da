import type { RewrapView } from '@gatehouse/protocol';
import { type Clock, GatehouseError, type Log } from '../../platform/index.ts';
import type { RecordChange, Storage } from '../storage.ts';
import type { KeyRing } from './key-ring.ts';
import { rewrapAll } from './rewrap.ts';

export interface Rewrapper {
  /** Starts, and answers at once; while one runs, its state is given back. */
  start(options: { to?: string | undefined; by: string }): RewrapView;
  state(): RewrapView;
}

export function createRewrapper(dependencies: {
  storage: Storage;
  ring: KeyRing;
  recordChange: RecordChange;
  clock: Clock;
  log: Log;
}): Rewrapper {
  const { ring, log } = dependencies;
  let view: RewrapView = { state: 'idle', to: null, looked: 0, of: 0, rewrapped: 0, problem: null };
  return {
    state: () => view,
    start({ to, by }) {
      if (view.state === 'running') return view;
      const { id } = ring.find(to);
      view = { state: 'running', to: id, looked: 0, of: 0, rewrapped: 0, problem: null };
      rewrapAll(dependencies, {
        to: id,
        by,
        onProgress: (progress) => {
          view = { ...view, ...progress };
        },
      }).then(
        (progress) => {
          view = { ...view, ...progress, state: 'done' };
        },
        (error: unknown) => {
          log.error('the sealed values could not all be sealed anew', { error });
          const known = error instanceof GatehouseError ? error.message : 'The log of the server has the cause.';
          view = { ...view, state: 'failed', problem: `${known} Both keys are still needed; run it again to go on.` };
        },
      );
      return view;
    },
  };
}
