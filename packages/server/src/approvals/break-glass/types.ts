import type { BreakGlass, BreakGlassRequest, Decision } from '@gatehouse/protocol';
import type { PasskeyVerification } from '../../identity/index.ts';
import type { Clock, Json, Log } from '../../platform/index.ts';
import type { Snapshot } from '../../registry/index.ts';
import type { Change, DatabaseTransaction, RecordChange, Sealer, Storage } from '../../storage/index.ts';
import type { ApprovalSubject } from '../types.ts';
import type { HeldBreakGlass } from './rows.ts';

export interface BreakGlassDependencies {
  storage: Storage;
  registry: { snapshot(): Pick<Snapshot, 'people' | 'agents' | 'servers' | 'environments'> };
  people: PasskeyVerification;
  recordChange: RecordChange;
  sealer: Sealer;
  clock: Clock;
  log: Log;
  publicUrl: string;
  tell?: { onBreakGlass?(transaction: DatabaseTransaction, glass: BreakGlass): Promise<void> } | undefined;
}

/** In an emergency two people let one task use named tools without an approval, for minutes, under an incident. Somebody looks at it afterwards. */
export interface BreakGlasses {
  load(): Promise<void>;
  refresh(changes: readonly Change[]): Promise<void>;
  /** One that this call may run on. From memory. */
  find(of: { subject: ApprovalSubject; decision: Decision }): HeldBreakGlass | undefined;
  /** Says loudly that a call has run on it. */
  noteUse(of: HeldBreakGlass, tool: string, actionId: string): void;
  list(): Promise<BreakGlass[]>;
  get(id: string): Promise<BreakGlass>;
  request(request: BreakGlassRequest, by: string): Promise<BreakGlass>;
  options(id: string, person: string): Promise<{ options: Json; until: number | null }>;
  sign(id: string, person: string, assertion: Json, until: number | null): Promise<BreakGlass>;
  end(id: string, by: string): Promise<BreakGlass>;
  review(id: string, by: string, note: string): Promise<BreakGlass>;
  /** Part of kill and task end. */
  endAll(transaction: DatabaseTransaction, of: { agent?: string; task?: string }, by: string): Promise<void>;
  /** Puts on record that the time of one is over. Called by a timer. */
  sweep(): Promise<void>;
}
