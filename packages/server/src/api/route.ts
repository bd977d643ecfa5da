import type { Api, Role, ShownChange } from '@gatehouse/protocol';
import type { Context } from 'hono';
import type { z } from 'zod';
import type { Confirmed, SignedInPerson } from '../identity/index.ts';
import type { ActionGroup, ControlResource } from './authorization/index.ts';

/** Who calls: a person with a session, or the operator of this host (local token). Never an agent. */
export interface ApiCaller {
  email: string;
  displayName: string;
  roles: Role[];
  /** Of the directory; what policies see as `Group`. */
  groups: readonly string[];
  /** `operator`, or how the session came to be: `passkey`, `oidc`, `device`. */
  via: string;
  /** A session of a terminal: it never approves and never enrols a passkey. */
  restricted: boolean;
  /** Absent for the operator. */
  person: SignedInPerson | null;
  /** As records name them. */
  by: string;
}

export interface RouteContext<Body = unknown, Query = unknown> {
  caller: ApiCaller;
  body: Body;
  query: Query;
  param(name: string): string;
  /** Whether the policies let the caller use another route as well, on what is their own. */
  may(route: keyof Api): boolean;
  /** Throws unless the policies let the caller use another route on this: for a request that is about several things. */
  require(route: keyof Api, resource: ControlResource): void;
  /** Of a session of the command line, where the route has a `plan`: the yes of its person, to be used with the change. */
  confirmed: Confirmed | undefined;
  /** For what the wire needs beyond JSON: cookies, the user agent. */
  http: Context;
}

/**
 * Who may use a route: `public`, `enrolling` (a session that has no passkey yet is enough), or whom the policies let do what its group
 * of actions stands for.
 */
export type Access = 'public' | 'enrolling' | ActionGroup;

/** What the request is about, found by the path alone; undefined where there is no such thing. */
export type ResourceOf = (param: (name: string) => string) => Promise<ControlResource | undefined>;

export interface Route {
  name: keyof Api;
  access: Access;
  summary: string;
  body?: z.ZodType;
  query?: z.ZodType;
  /** Left out: the workspace. */
  on?: ResourceOf;
  /**
   * For sessions of the command line: what the request would change. Where that is nothing, nothing is to be confirmed. The handler then
   * makes no other change than was shown, and uses `confirmed` in the same transaction.
   */
  plan?(context: RouteContext<never, never>): Promise<ShownChange[]>;
  /** Members of the body that are not shown when it is to be confirmed. */
  conceals?: readonly string[];
  /** `public` routes get a caller only if there is one. */
  handle(context: RouteContext<never, never>): Promise<unknown>;
}

export const everyone = 'read' satisfies Access;

/** Declares a route; the response is typed by its entry in `Api`. */
export function route<
  Name extends keyof Api,
  Body extends z.ZodType = z.ZodType<undefined>,
  Query extends z.ZodType = z.ZodType<undefined>,
>(
  name: Name,
  access: Access,
  summary: string,
  {
    plan,
    ...options
  }: {
    body?: Body;
    query?: Query;
    on?: ResourceOf;
    plan?: (context: RouteContext<z.output<Body>, z.output<Query>>) => Promise<ShownChange[]>;
    conceals?: readonly (keyof z.output<Body> & string)[];
  },
  handle: (context: RouteContext<z.output<Body>, z.output<Query>>) => Promise<Api[Name]>,
): Route {
  return {
    name,
    access,
    summary,
    ...options,
    ...(plan && { plan: plan as NonNullable<Route['plan']> }),
    handle: handle as Route['handle'],
  };
}
