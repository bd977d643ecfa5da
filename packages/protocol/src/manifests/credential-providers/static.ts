import { z } from 'zod';
import { originOf } from '../../upstream-authorization.ts';
import type { CredentialKind } from './kind.ts';
import { meetOf, nothingLeft } from './meet-of.ts';

/** Where long-lived secrets are kept. What `parts` name there is said with each. */
const kept = z.discriminatedUnion('type', [
  /** Gatehouse's own, sealed: names of stored secrets, each stored for all of `for`. */
  z.strictObject({ type: z.literal('store') }),
  /** Files in the directory that the server was started with (GATEHOUSE_SECRET_FILES, /run/secrets without it): their paths below it. */
  z.strictObject({ type: z.literal('files') }),
  /** Variables of the server's own environment, which begin with GATEHOUSE_SECRET_: the rest of their names. */
  z.strictObject({ type: z.literal('environment') }),
]);
export type KeptSecrets = z.infer<typeof kept>;

/** `https://api.example` of a tool server over HTTP, `stdio://NAME` of one that is a program. */
const destination = z
  .string()
  .max(500)
  .refine(
    (text) => URL.canParse(text) && originOf(text) === text,
    'is https://HOST or https://HOST:PORT, or stdio://NAME',
  );

export const staticSource = z.strictObject({
  type: z.literal('static'),
  in: kept,
  /** Of the credential, by name, each with what has it there; `NAME#MEMBER` is a member of one that is JSON. */
  parts: z
    .record(z.string().regex(/^[a-zA-Z]{1,50}$/), z.string().min(1).max(500))
    .refine((parts) => Object.keys(parts).length >= 1 && Object.keys(parts).length <= 10, 'has 1 to 10 parts'),
  /** The only tool servers that it is sent to. */
  for: z.array(destination).min(1).max(10),
  /** Days after which a new one is due; `gatehouse status` says when it is over. */
  rotateDays: z.int().min(1).max(3_650).optional(),
  /** Who sees to that. */
  owner: z.email().optional(),
});
export type StaticSource = z.infer<typeof staticSource>;

/** Some of the parts; all of them where it says nothing. What each can do there, nobody here can narrow. */
const staticScope = z.strictObject({ parts: z.array(z.string().max(50)).min(1).max(10).optional() });
export type StaticScope = z.infer<typeof staticScope>;

export const staticKind: CredentialKind<StaticSource, StaticScope> = {
  from: staticSource,
  scope: staticScope,
  parts: ({ parts }) => Object.keys(parts),
  destinations: (from) => from.for,
  narrow({ parts: allowed }, { parts = Object.keys(allowed) }) {
    const missing = parts.find((part) => !Object.hasOwn(allowed, part));
    if (missing === undefined) return { scope: { parts: [...new Set(parts)] } };
    return { problem: `This provider has no part "${missing}". It has: ${Object.keys(allowed).join(', ')}.` };
  },
  meet({ parts: a }, { parts: b }) {
    if (!a || !b) return { scope: a || b ? { parts: a ?? b } : {} };
    const parts = meetOf(a, b);
    return parts.length > 0 ? { scope: { parts } } : nothingLeft('part');
  },
};
