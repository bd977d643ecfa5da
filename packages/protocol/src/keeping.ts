import { z } from 'zod';

const id = z.string().min(1).max(200);
const time = z.string().max(40);

const members = {
  agent: id.optional(),
  task: id.optional(),
  action: id.optional(),
  /** Their email: asked for by, done for, or in the chain of actors. */
  person: id.optional(),
  ticket: id.optional(),
  from: time.optional(),
  to: time.optional(),
};
const namesOne = (scope: Record<string, unknown>) => Object.values(scope).some((value) => value !== undefined);

/** Which actions a hold or an erasure is about: all that is given has to fit. */
export const keepingScope = z.strictObject(members).refine(namesOne, 'name at least one');
export type KeepingScope = z.infer<typeof keepingScope>;

export const erasurePreviewQuery = z
  .strictObject({ ...members, cursor: z.string().max(300).optional() })
  .refine(({ cursor: _, ...scope }) => namesOne(scope), 'name at least one');

export const keepingBodies = {
  hold: z.strictObject({ scope: keepingScope, reason: z.string().min(1).max(500) }),
  erase: z.strictObject({ scope: keepingScope, reason: z.string().min(1).max(500) }),
};

export interface LegalHold {
  id: string;
  scope: KeepingScope;
  reason: string;
  placedBy: string;
  placedAt: number;
  /** Somebody has asked for its end, and somebody else has to agree. */
  endAskedBy: string | null;
  endedBy: string | null;
  endedAt: number | null;
}

export interface Erasure {
  id: string;
  scope: KeepingScope;
  reason: string;
  /** `waiting` for a second person, `running`, `done`, `rejected`. */
  state: 'waiting' | 'running' | 'done' | 'rejected';
  askedBy: string;
  askedAt: number;
  agreedBy: string | null;
  /** Bodies that are gone, and actions that a hold has kept. */
  erased: number;
  held: number;
  endedAt: number | null;
}

/** What an erasure takes of all that it is about, but for what a hold keeps. */
export interface ErasureReach {
  actions: number;
  /** Those of them that a hold keeps: they are in no other number. */
  held: number;
  /** Of these actions. They stay, with digests that nobody can reverse. */
  records: number;
  arguments: number;
  results: number;
  /** Of those that are not over the arguments go when they are. */
  approvals: number;
  grants: number;
  /** Values that were endorsed with these approvals. */
  endorsements: number;
  /** Results that wait for a person. */
  heldResults: number;
  /** Calls that ran as MCP tasks, with what came of them. */
  tasks: number;
  /** What is written of calls of which nobody knows whether they ran. */
  unknownCalls: number;
  /** Counters that lose what they are shown as. */
  budgets: number;
  /** What channels answered. */
  deliveries: number;
  /** Records that receivers outside have already: no erasure reaches what these keep. */
  exported: { sink: string; records: number }[];
}

/** A look goes on for two seconds: numbers of one after the other are added, from `cursor` on, until that is null. */
export interface ErasurePreview extends ErasureReach {
  cursor: string | null;
}

export interface KeepingApi {
  'GET /holds': { items: LegalHold[] };
  'POST /holds': LegalHold;
  'POST /holds/:id/end': LegalHold;
  'POST /holds/:id/agree': LegalHold;
  'GET /erasures': { items: Erasure[] };
  'GET /erasure-preview': ErasurePreview;
  'POST /erasures': Erasure;
  'POST /erasures/:id/agree': Erasure;
  'POST /erasures/:id/reject': Erasure;
}
