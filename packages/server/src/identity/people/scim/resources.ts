import { email as address } from '@gatehouse/protocol';
import SCIMMY from 'scimmy';
import { AgentSchema } from './agent-schema.ts';

SCIMMY.Schemas.User.extend(SCIMMY.Schemas.EnterpriseUser as never, false);

export type Resource = Record<string, unknown> & { id?: string };

/** RFC 7644 §3.12. */
export function scimError(status: number, type: string, detail: string): Error & { status: number } {
  return new SCIMMY.Types.Error(status, type as never, detail) as unknown as Error & { status: number };
}

const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';

/** What directories send that RFC 7643 does not have: `"False"` for false, and names of operations with a capital. */
function forgiving(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(forgiving);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => {
      const isFlag = /^(active|primary)$/i.test(name) || (name === 'value' && /^active$/i.test(pathOf(value)));
      if (isFlag && typeof member === 'string' && /^(true|false)$/i.test(member))
        return [name, member.toLowerCase() === 'true'];
      return [name, forgiving(member)];
    }),
  );
}

const pathOf = (value: object) => ('path' in value && typeof value.path === 'string' ? value.path : '');

/** PostgreSQL has no U+0000 in a text, and no name has one. */
export function refuseNul(value: unknown): void {
  if (typeof value === 'string' && value.includes('\0'))
    throw scimError(400, 'invalidValue', 'A value holds the character U+0000.');
  if (typeof value === 'object' && value !== null) for (const member of Object.values(value)) refuseNul(member);
}

export function readUser(body: unknown): Resource {
  return plain(new SCIMMY.Schemas.User(forgiving(body) as never, 'in'));
}

export function readAgent(body: unknown): Resource {
  return plain(new AgentSchema(forgiving(body), 'in'));
}

export function readGroup(body: unknown): Resource {
  return plain(new SCIMMY.Schemas.Group(body as never, 'in'));
}

/** RFC 7644 §3.5.2; undefined where nothing changed. */
export async function patched(kind: 'User' | 'Group' | 'Agent', current: Resource, body: unknown): Promise<Resource> {
  const message = new SCIMMY.Messages.PatchOp(replacing(forgiving(body)) as never);
  const Schema = (kind === 'Agent' ? AgentSchema : SCIMMY.Schemas[kind]) as unknown as new (
    data: unknown,
    direction?: string,
  ) => never;
  const after = await message.apply(new Schema(current, 'both'));
  return after === undefined ? current : plain(after);
}

/**
 * The library adds the values of a `replace` to those that are there. Whoever a group names no more would stay in it: the attribute is
 * emptied first (RFC 7644 §3.5.2.3).
 */
function replacing(body: unknown): unknown {
  const { Operations, ...rest } = body as { Operations?: unknown };
  if (!Array.isArray(Operations)) return body;
  const operations = Operations.flatMap((operation: Record<string, unknown> | null) => {
    if (!/^replace$/i.test(String(operation?.op))) return [operation];
    const { path, value } = operation as { path?: unknown; value?: unknown };
    if (typeof path === 'string') {
      // With a filter it replaces those values alone.
      const isWhole = Array.isArray(value) && !path.includes('[');
      return isWhole
        ? [{ op: 'remove', path }, ...(value.length > 0 ? [{ op: 'add', path, value }] : [])]
        : [operation];
    }
    if (typeof value !== 'object' || value === null) return [operation];
    const lists = Object.entries(value).filter(([, member]) => Array.isArray(member)) as [string, unknown[]][];
    const others = Object.fromEntries(Object.entries(value).filter(([, member]) => !Array.isArray(member)));
    return [
      ...lists.flatMap(([name, list]) => [
        { op: 'remove', path: name },
        ...(list.length > 0 ? [{ op: 'add', path: name, value: list }] : []),
      ]),
      ...(Object.keys(others).length > 0 ? [{ ...operation, value: others }] : []),
    ];
  });
  return { ...rest, Operations: operations };
}

export const plain = (resource: unknown) => JSON.parse(JSON.stringify(resource)) as Resource;

export interface UserFacts {
  userName: string;
  email: string;
  displayName: string;
  active: boolean;
  externalId: string | null;
  /** Id of the manager's resource. */
  manager: string | null;
}

/** What of a user counts here. The address is the primary one, else the first, else the user name. */
export function factsOf(user: Resource): UserFacts {
  const userName = String(user.userName ?? '');
  const emails = (user.emails ?? []) as { value?: string; primary?: boolean }[];
  const email = (emails.find(({ primary }) => primary) ?? emails[0])?.value ?? userName;
  if (!address.safeParse(email).success)
    throw scimError(400, 'invalidValue', 'A user needs an email address: in emails, or as userName.');
  const name = user.name as { formatted?: string; givenName?: string; familyName?: string } | undefined;
  const spoken = [name?.givenName, name?.familyName].filter(Boolean).join(' ');
  const displayName = [user.displayName, name?.formatted, spoken, userName].find(
    (text) => typeof text === 'string' && text.trim() !== '',
  ) as string;
  const { manager } = (user[ENTERPRISE] ?? {}) as { manager?: { value?: string } };
  return {
    userName,
    email,
    displayName: displayName.trim().slice(0, 100),
    active: user.active !== false,
    externalId: typeof user.externalId === 'string' ? user.externalId : null,
    manager: manager?.value ?? null,
  };
}
