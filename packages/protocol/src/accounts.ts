import { z } from 'zod';
import { name } from './names.ts';

/** A person's account at another system, which they let one agent use, with these scopes, for tasks that are theirs. */
export interface AccountView {
  /** `acc_…` */
  id: string;
  provider: string;
  agent: string;
  /** Whose it is. */
  user: string;
  scopes: string[];
  /** `broken`: the other system does not renew the access any more, so its person connects it again. `ending`: to be revoked there. */
  state: 'connected' | 'broken' | 'ending';
  problem: string | null;
  /** Where it was granted. */
  issuer: string;
  /** The only tool servers that its person let tokens of it go to, by origin; null: an earlier version did not keep that. */
  destinations: string[] | null;
  connectedAt: number;
  lastUsedAt: number | null;
}

export interface AccountBegun {
  /** Of our own: to be opened in the browser of the person who began. */
  url: string;
  issuer: string;
  scopes: string[];
  /** The only tool servers that tokens of it are sent to, by origin. */
  destinations: string[];
  expiresAt: number;
}

export const accountBodies = {
  list: z.object({ user: z.email().optional(), agent: name.optional() }),
  connect: z.strictObject({
    provider: name,
    agent: name,
    scopes: z.array(z.string().min(1).max(200)).min(1).max(50).optional(),
  }),
};

export interface AccountsApi {
  'GET /accounts': { items: AccountView[] };
  'POST /accounts': AccountBegun;
  'DELETE /accounts/:id': { id: string; revoked: boolean; problem: string | null };
}
