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
  /**
   * Of what outlives its lease, or is a person's: the only tool servers that it is sent to, by origin (`stdio://NAME` of a program), and nobody
   * else, whoever calls directly among them. Without it a credential goes where a manifest says.
   */
  destinations?(from: From): readonly string[];
  /** Never more than was asked for, and never more than `from` allows. */
  narrow(from: From, asked: Scope): Narrowed<Scope>;
  /**
   * The most that is within both of two scopes that `narrow` gave for the same `from`: of what a tool server asks for, and what tasks of a
   * template may be given. A problem where nothing is left (`nothingLeft`). Sets meet as what is in both (`meetOf`), limits as the smaller one
   * (`smaller`), a value only with itself. A member that is left out is all that `from` allows, so that the other's holds. Where it can't be said
   * what two have in common, it is nothing. Tested as a property: what it gives is within `a`, and within `b`.
   */
  meet(a: Scope, b: Scope): Narrowed<Scope>;
  /**
   * Whether all of a scope that `narrow` gave is within another. Without it: whether a `from` that has no more than the other would narrow it to
   * itself. For kinds whose scope is no part of their `from`, or where a member that is left out is the least.
   */
  isWithin?(scope: Scope, most: Scope): boolean;
}
