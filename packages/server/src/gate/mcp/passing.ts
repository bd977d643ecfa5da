import { type Dispatch, isOfTheProtocol } from '../../enforcement/index.ts';
import type { Json, JsonObject, Log } from '../../platform/index.ts';
import type { ServerMessage } from '../upstream/types.ts';

/** What a server says goes to the agent in its order, each message once what it brings is durable (law 9). */
export interface Passing {
  /** A message that is refused or fails is left out. */
  pass<T>(ready: () => T | Promise<T>, on: (message: T) => void): void;
  done(): Promise<void>;
}

export function createPassing(log: Log): Passing {
  let queue: Promise<void> | undefined;
  const leftOut = (error: unknown) => log.warn('something that a server said is not passed on', { error });

  return {
    pass(ready, on) {
      try {
        const message = ready();
        if (!queue && !(message instanceof Promise)) {
          on(message);
          return;
        }
        const before = queue ?? Promise.resolve();
        const after = Promise.all([message, before]).then(([said]) => on(said), leftOut);
        // However this one ends, what came before it is through first.
        const own = Promise.allSettled([after, before]).then(() => {
          if (queue === own) queue = undefined;
        });
        queue = own;
      } catch (error) {
        leftOut(error);
      }
    },
    async done() {
      await queue;
    },
  };
}

/** A message as this call's agent may hear it. */
export function heardOf({ clean, heard }: Pick<Dispatch, 'clean' | 'heard'>, params: JsonObject, method: string) {
  const shown = clean(params);
  const said = textOf({ method, params: shown });
  const durable = said === undefined ? undefined : heard(said);
  return durable ? durable.then(() => shown) : shown;
}

/** What there is to read in it. */
function textOf({ method, params }: ServerMessage): Json | undefined {
  const isProgress = method === 'notifications/progress';
  const said = Object.entries(params).filter(([name, value]) => {
    // Another token than the agent's own does not reach it.
    if (isProgress && name === 'progressToken') return false;
    if (typeof value === 'number') return !(isProgress && (name === 'progress' || name === 'total'));
    return !(
      typeof value === 'string' &&
      name === 'level' &&
      isOfTheProtocol(name, value, { place: 'message', idChars: 0 })
    );
  });
  return said.length === 0 ? undefined : Object.fromEntries(said);
}
