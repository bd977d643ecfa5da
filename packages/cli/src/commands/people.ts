import type { Api, PersonView } from '@gatehouse/protocol';
import { timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';
import { printSessions } from './session.ts';

const rolesOf = ({ departed, roles }: PersonView) => (departed ? 'left' : roles.join(', ') || 'none');

export const listPeople: Run<ServerOptions & { search?: string }> = async ({ options, out }) => {
  const server = operatorOf(options);
  const { search } = options;
  const found = search === undefined ? {} : { search };
  const items: PersonView[] = [];
  let cursor: string | null = null;
  do {
    const page: Api['GET /people'] = await server.call('GET /people', {
      query: cursor === null ? found : { ...found, cursor },
    });
    items.push(...page.items);
    cursor = page.cursor;
  } while (cursor !== null);
  if (out.json) return out.printJson({ items });
  if (items.length === 0 && search !== undefined) return out.note('Nobody is found.');
  if (items.length === 0) return out.note('Nobody is known yet. `gatehouse apply -f DIR` declares people.');
  out.table(
    ['PERSON', 'NAME', 'ROLES', 'SOURCE', 'PASSKEYS', 'SESSIONS', 'AGENTS'],
    items.map((person) => [
      person.email,
      person.displayName,
      rolesOf(person),
      person.source,
      String(person.passkeys),
      String(person.sessions),
      String(person.agents.length),
    ]),
  );
};

export const showPerson: Run<ServerOptions> = async ({ args: [email = ''], options, out }) => {
  const person = await operatorOf(options).call('GET /people/:email', { params: { email } });
  if (out.json) return out.printJson(person);
  out.facts([
    ['Person', person.email],
    ['Name', person.displayName],
    ['Roles', rolesOf(person)],
    ['Left', person.departed ? `${timeOf(person.departed.at)}, by ${person.departed.by}` : ''],
    ['Source', person.source],
    ['Groups', person.groups.join(', ')],
    ['Successor', person.successor ?? 'none: their agents would be suspended'],
    ['Passkeys', person.passkeys],
    ['Sessions', person.sessions],
    ['Sign-in', person.identities.map(({ provider }) => provider).join(', ')],
    ['Agents', person.agents.join(', ')],
  ]);
};

export const offboardPerson: Run<ServerOptions & { successor?: string; keepKeys?: boolean; reason: string }> = async ({
  args: [email = ''],
  options,
  out,
}) => {
  const { successor, keepKeys = false, reason } = options;
  const body = { reason, keepKeys, ...(successor !== undefined && { successor }) };
  const result = await operatorOf(options).call('POST /people/:email/offboard', { params: { email }, body });
  if (out.json) return out.printJson(result);
  out.print(`${result.person} has left.`);
  out.facts([
    ['Sessions ended', result.endedSessions],
    ['Passkeys removed', result.removedPasskeys],
    ['Delegations revoked', result.revokedDelegations],
    [`Agents to ${result.successor ?? 'a successor'}`, result.handedOver.join(', ') || 'none'],
    ['Agents suspended', result.suspended.join(', ') || 'none'],
    ['Join tokens revoked', result.revokedJoinTokens],
    ['Keys of the agents', keepKeys ? 'kept' : `${result.droppedKeys} dropped`],
    ['Approvals cancelled', result.cancelledApprovals],
  ]);
  if (result.droppedKeys > 0 && result.handedOver.length > 0)
    out.note('The agents enrol again: `gatehouse agent join-token NAME` makes a join token for each.');
  if (result.trustRules.length > 0)
    out.note(
      `These trust rules still let the agents in; look at what each trusts: ${result.trustRules.join(', ')}. \`gatehouse trust list\` shows them.`,
    );
};

export const reinstatePerson: Run<ServerOptions> = async ({ args: [email = ''], options, out }) => {
  const person = await operatorOf(options).call('POST /people/:email/reinstate', { params: { email } });
  if (out.json) return out.printJson(person);
  out.print(`${person.email} is back, with the roles ${rolesOf(person)}.`);
};

export const personSessions: Run<ServerOptions & { end?: boolean }> = async ({ args: [email = ''], options, out }) => {
  const operator = operatorOf(options);
  if (options.end) {
    const ended = await operator.call('DELETE /people/:email/sessions', { params: { email } });
    if (out.json) return out.printJson(ended);
    return out.print(`${ended.ended} sessions of ${email} ended.`);
  }
  const { items } = await operator.call('GET /people/:email/sessions', { params: { email } });
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note(`${email} has no session.`);
  printSessions(items, out);
};

export const createScimToken: Run<ServerOptions & { expiresInDays?: string }> = async ({
  args: [name = ''],
  options,
  out,
}) => {
  const { expiresInDays: given } = options;
  const days = given === undefined ? {} : { expiresInDays: toNumber(given, '--expires-in-days', 1, 3_650) };
  const made = await operatorOf(options).call('POST /scim/tokens', { body: { name, ...days } });
  if (out.json) return out.printJson(made);
  out.print('The token is shown this once:');
  out.facts([
    ['Token', made.token],
    ['Base URL', made.url],
    ['Id', made.id],
  ]);
};

export const listScimTokens: Run<ServerOptions> = async ({ options, out }) => {
  const { items } = await operatorOf(options).call('GET /scim/tokens');
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('No directory has a token. `gatehouse scim token create NAME` makes one.');
  out.table(
    ['ID', 'DIRECTORY', 'MADE', 'LAST USED', 'EXPIRES'],
    items.map(({ id, name, createdAt, lastUsedAt, expiresAt }) => [
      id,
      name,
      timeOf(createdAt) ?? '',
      timeOf(lastUsedAt) ?? 'never',
      timeOf(expiresAt) ?? 'never',
    ]),
  );
};

export const revokeScimToken: Run<ServerOptions> = async ({ args: [id = ''], options, out }) => {
  const done = await operatorOf(options).call('DELETE /scim/tokens/:id', { params: { id } });
  if (out.json) return out.printJson(done);
  out.print(`${id} is revoked.`);
};
