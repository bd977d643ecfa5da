import type { Dispatch } from '../../enforcement/index.ts';
import type { Json, Log } from '../../platform/index.ts';
import type { ServerMessage } from '../upstream/types.ts';

/** What a server says before it answers goes to the agent in its order, each message once what it brings is durable (law 9). */
export interface Passing {
  pass(message: ServerMessage, on: () => void): void;
  done(): Promise<void>;
}

export function createPassing({ heard }: Pick<Dispatch, 'heard'>, log: Log): Passing {
  let queue: Promise<void> | undefined;

  return {
    pass(message, on) {
      const said = textOf(message);
      const durable = said === undefined ? undefined : heard(said);
      if (!queue && !durable) {
        on();
        return;
      }
      queue = Promise.all([queue, durable]).then(on, (error) => {
        log.warn('what a server said could not be labelled, so the agent does not hear it', { error });
      });
    },
    async done() {
      await queue;
    },
  };
}

/** What there is to read in it. */
function textOf({ method, params }: ServerMessage): Json | undefined {
  switch (method) {
    case 'notifications/progress':
      return typeof params.message === 'string' ? params.message : undefined;
    case 'notifications/message':
      return params.data;
    case 'notifications/tasks/status':
      return params.statusMessage;
    default:
      return undefined;
  }
}
