import { z } from 'zod';
import { name, secretName } from '../names.ts';
import { description } from './description.ts';

/**
 * Where the tickets and change requests that tasks name are followed up: policies see their state. A ticket that can't be asked about
 * is as none.
 */
export const ticketSystemManifest = z.strictObject({
  kind: z.literal('TicketSystem'),
  name,
  description,
  /** Beginnings of the ids that are looked up here: `CHG-`. */
  prefixes: z
    .array(z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,30}$/))
    .min(1)
    .max(20),
  /** Of one ticket, with `{id}` in its path or query. Answers JSON; a list of one stands for what is in it. */
  url: z
    .string()
    .max(1_000)
    .refine((url) => URL.canParse(url) && url.split('{id}').length === 2 && !new URL(url).host.includes('{'), {
      message: 'an address with {id} once, behind the host',
    }),
  /** Name of the stored secret (`gatehouse secrets set`) that is sent as a bearer token, to this address and nowhere else. */
  secret: secretName.optional(),
  /** The secret is the password, or the API token, of this user (RFC 7617), and no bearer token. */
  user: z
    .string()
    .regex(/^[^:\p{C}]{1,200}$/u)
    .optional(),
  /** Members that lead to the state, joined by dots: `fields.status.name`. */
  state: z.string().min(1).max(200),
  /**
   * Members that lead to the id: an answer about another ticket than was asked for is as none. Without it the system alone sees to that: one that
   * follows tickets which were moved, or reads a query more freely than was meant, answers about others.
   */
  id: z.string().min(1).max(200).optional(),
  /**
   * Members that lead to the agents that the ticket is for: a name or SPIFFE ID, or a list of them. An agent names its ticket itself, so
   * that without this any agent can name any ticket; with it, one that is for others is as none.
   */
  agents: z.string().min(1).max(200).optional(),
  /** How old an answer may be. */
  refreshSeconds: z.int().min(5).max(3_600).default(60),
  /** Where it is not on the public internet. Link-local addresses never. */
  allowPrivateAddress: z.boolean().default(false),
  /** PEM certificates to trust for it instead of the system's. */
  ca: z.string().max(100_000).optional(),
});

export type TicketSystemManifest = z.infer<typeof ticketSystemManifest>;
