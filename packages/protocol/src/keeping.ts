import { z } from 'zod';

const id = z.string().min(1).max(200);
const time = z.string().max(40);

/** Which actions a hold or an erasure is about: all that is given has to fit. */
export const keepingScope = z
  .strictObject({
    agent: id.optional(),
    task: id.optional(),
    action: id.optional(),
    /** Their email: asked for by, done for, or in the chain of actors. */
    person: id.optional(),
    ticket: id.optional(),
    from: time.optional(),
    to: time.optional(),
  })
  .refine((scope) => Object.values(scope).some((value) => value !== undefined), 'name at least one');
export type KeepingScope = z.infer<typeof keepingScope>;

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

export interface KeepingApi {
  'GET /holds': { items: LegalHold[] };
  'POST /holds': LegalHold;
  'POST /holds/:id/end': LegalHold;
  'POST /holds/:id/agree': LegalHold;
  'GET /erasures': { items: Erasure[] };
  'POST /erasures': Erasure;
  'POST /erasures/:id/agree': Erasure;
  'POST /erasures/:id/reject': Erasure;
}
