import type { Approvals } from '../../approvals/index.ts';
import type { Enforcement } from '../../enforcement/index.ts';
import type { Caller } from '../../identity/index.ts';
import type { Clock, Log } from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { Upstreams } from '../upstream/types.ts';
import type { Act } from './act.ts';
import type { Catalogue } from './catalogue.ts';
import type { Connections } from './connections.ts';
import type { Definitions } from './definitions.ts';
import type { OwnedTasks } from './owned-tasks.ts';
import type { RequestStates } from './request-state.ts';
import type { View } from './view.ts';
import type { WaitingCalls } from './waiting/waiting-calls.ts';

/** What both eras are made of. */
export interface Door {
  readonly registry: Registry;
  readonly enforcement: Enforcement;
  readonly approvals: Approvals;
  readonly upstreams: Upstreams;
  readonly connections: Connections;
  readonly catalogue: Catalogue;
  readonly definitions: Definitions;
  readonly tasks: OwnedTasks;
  readonly states: RequestStates;
  readonly act: Act;
  readonly waiting: WaitingCalls;
  readonly clock: Clock;
  readonly log: Log;
  readonly publicUrl: string;
  /** Before a list: servers that nobody has looked at yet are looked at, the others now and then. */
  look(caller: Caller, view: View): Promise<void>;
}

/** How the gate introduces itself, in both eras. */
export const gateInfo = { name: 'gatehouse', title: 'Gatehouse', version: '0.1.0' };
