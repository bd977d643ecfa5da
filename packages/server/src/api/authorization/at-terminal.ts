import type { Api } from '@gatehouse/protocol';
import type { Access } from '../route.ts';
import { type AtTerminal, controlActions } from './actions.ts';

/** Where one route differs from its group, or does so for some bodies only. Whatever is not recognised as narrowing is confirmed. */
const exceptions: { [Name in keyof Api]?: AtTerminal | ((body: unknown) => AtTerminal) } = {
  // Taking away and ending wait for nobody.
  'DELETE /agents/:name/keys/:thumbprint': 'open',
  'DELETE /agents/:name/join-tokens/:id': 'open',
  // What it has issued is nobody's, and gone when it answers.
  'POST /providers/:name/test': 'open',
  'POST /tasks/:id/end': 'open',
  'POST /tasks/end': 'open',
  'POST /tasks/:id/suspend': 'open',
  'DELETE /scim/tokens/:id': 'open',
  'DELETE /secrets/:name': 'open',
  'POST /agents/:name/state': unlessActive,
  'POST /workloads/:name/state': unlessActive,
  'POST /agents/state': unlessActive,
  // Who is named here gets agents; whom a manifest or the directory names was decided on before.
  'POST /people/:email/offboard': (body) => (memberOf(body, 'successor') === undefined ? 'open' : 'confirmed'),
  // Whoever shares the shell would name a browser of its own.
  'POST /push/subscriptions': 'refused',
  // Who watches sees less, or everything once more.
  'POST /sinks/:name/pause': 'confirmed',
  'POST /sinks/:name/let-go': 'confirmed',
  'POST /sinks/:name/replay': 'confirmed',
  // What it answers is the key of the root.
  'POST /trust-domain/root/export': 'refused',
};

/** On the way in; the rest of it is for browsers. */
const openOnTheWayIn: ReadonlySet<string> = new Set(['GET /session', 'POST /signout']);

/** What a session of the command line does with this request. */
export function atTerminal({ name, access }: { name: string; access: Access }, body: unknown): AtTerminal {
  if (access === 'public') return 'open';
  if (access === 'enrolling') return openOnTheWayIn.has(name) ? 'open' : 'refused';
  const exception = exceptions[name as keyof Api];
  if (typeof exception === 'function') return exception(body);
  if (exception !== undefined) return exception;
  if (name.startsWith('GET ')) return 'open';
  return controlActions[access].atTerminal;
}

function unlessActive(body: unknown): AtTerminal {
  const state = memberOf(body, 'state');
  return state === 'suspended' || state === 'retired' ? 'open' : 'confirmed';
}

const memberOf = (body: unknown, name: string): unknown => (body as Record<string, unknown> | undefined)?.[name];
