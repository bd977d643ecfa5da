import type { People } from '../identity/index.ts';
import { GatehouseError } from '../platform/index.ts';
import { groupsOf, type Snapshot } from '../registry/index.ts';
import type { ApiDependencies } from './dependencies.ts';
import type { ApiCaller } from './route.ts';

/** Who calls: the server's own host by its token, or a person by their session. */
export function createCallers(deps: Pick<ApiDependencies, 'operatorToken' | 'people' | 'registry'>) {
  function operatorOf(authorization: string | undefined): ApiCaller | undefined {
    const token = /^Operator (.+)$/.exec(authorization ?? '')?.[1];
    if (token === undefined) return undefined;
    if (!deps.operatorToken.equals(token))
      throw new GatehouseError(
        'unauthenticated',
        'operator.token',
        'The operator token is not that of this server. Give the data directory that it printed at start.',
      );
    return {
      email: 'operator',
      displayName: 'Operator',
      roles: ['admin', 'security', 'auditor', 'developer'],
      groups: [],
      via: 'operator',
      restricted: false,
      person: null,
      by: 'operator',
    };
  }

  async function personOf(
    { cookie, authorization }: { cookie?: string; authorization?: string },
    how: Parameters<People['authenticatePerson']>[1],
  ): Promise<ApiCaller> {
    const person = await deps.people.authenticatePerson(
      { ...(cookie !== undefined && { cookie }), ...(authorization !== undefined && { authorization }) },
      how,
    );
    return {
      email: person.email,
      displayName: person.displayName,
      roles: person.roles,
      groups: groupsAt(deps.registry.snapshot(), person.email),
      via: person.via,
      restricted: person.restricted,
      person,
      by: `person:${person.email}`,
    };
  }

  async function personIfAny(...of: Parameters<typeof personOf>): Promise<ApiCaller | undefined> {
    try {
      return await personOf(...of);
    } catch (error) {
      if (!(error instanceof GatehouseError)) throw error;
      // Whoever has opened one approval by a mail is nobody in particular elsewhere, and may sign in.
      if (error.kind === 'unauthenticated' || error.code === 'session.by-mail') return undefined;
      throw error;
    }
  }

  return { operatorOf, personOf, personIfAny };
}

/** Groups of manifests and of the directory, by name. Who is in one that a manifest declares, the manifest alone says. */
function groupsAt(snapshot: Pick<Snapshot, 'groups' | 'directory'>, email: string): string[] {
  const given = snapshot.directory.get(email)?.groups ?? [];
  return [...groupsOf(snapshot, email), ...given.filter((name) => !snapshot.groups.has(name))];
}
