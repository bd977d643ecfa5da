import type { z } from 'zod';

/** What will be issued, or in words why not. */
export type Narrowed<Scope> = { scope: Scope } | { problem: string };

/** One kind of provider, as manifests speak of it. */
export interface CredentialKind<From extends { type: string }, Scope> {
  /** `from` of the manifest: where it issues, with which right of its own, and what it may issue at most. */
  from: z.ZodType<From>;
  /** What a tool server or a template asks of it; `{}` is all that it may issue. */
  scope: z.ZodType<Scope>;
  /** What a credential of it consists of: `{username}` in a manifest is its part `username`. */
  parts(from: From): readonly string[];
  /** Never more than was asked for, and never more than `from` allows. */
  narrow(from: From, asked: Scope): Narrowed<Scope>;
}
