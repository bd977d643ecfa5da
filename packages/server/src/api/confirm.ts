import { CONFIRMATION_HEADER, type ShownChange } from '@gatehouse/protocol';
import type { Confirmed, SignedInPerson } from '../identity/index.ts';
import { GatehouseError, isJsonObject } from '../platform/index.ts';
import { atTerminal } from './authorization/index.ts';
import type { ApiDependencies } from './dependencies.ts';
import type { Route, RouteContext } from './route.ts';
import { changesWhoGetsIn } from './routes/apply-at-terminal.ts';

/**
 * Lets a request of a session of the command line pass, or has its person asked. Where the route has a plan the confirmation is used in
 * the transaction of the change, else right here: then a change that fails has cost its yes, and none is made without one.
 */
export async function confirmAtTerminal(
  { confirmations, storage }: Pick<ApiDependencies, 'confirmations' | 'storage'>,
  route: Route,
  context: RouteContext,
  person: SignedInPerson,
  given: unknown,
): Promise<Confirmed | undefined> {
  const rule = atTerminal(route, context.body);
  if (rule === 'open') return undefined;
  // The policies have refused it before; if they ever did not, it would be refused here.
  if (rule === 'refused')
    throw new GatehouseError('forbidden', 'session.restricted', 'This is done in the console, in a browser.');
  const request = { method: context.http.req.method, target: targetOf(context), body: given ?? null };
  const id = context.http.req.header(CONFIRMATION_HEADER);
  if (id !== undefined) {
    const confirmed = await confirmations.find(id, person, request);
    if (!route.plan) await storage.transaction((transaction) => confirmed.use(transaction));
    return confirmed;
  }
  const changes = route.plan ? await route.plan(context as never) : null;
  if (changes?.length === 0) return undefined;
  const needed = await confirmations.ask(person, request, shownOf(route, request, changes));
  throw new GatehouseError(
    'forbidden',
    'confirmation.needed',
    `This could widen what agents or people may do, so it is confirmed in a browser: open ${needed.url}`,
    { extra: { confirmation: needed } },
  );
}

function shownOf(
  { summary, conceals = [] }: Route,
  { method, target, body }: { method: string; target: string; body: unknown },
  changes: ShownChange[] | null,
) {
  const request = `${method} ${target}`;
  if (changes) return { summary, request, body: null, changes, changesWhoGetsIn: changes.some(changesWhoGetsIn) };
  const shown = isJsonObject(body)
    ? Object.fromEntries(
        Object.entries(body).map(([name, value]) => [name, conceals.includes(name) ? '[hidden]' : value]),
      )
    : body;
  return { summary, request, body: shown, changes, changesWhoGetsIn: false };
}

const API_PREFIX = /^\/api\/v1/;

/** As it was addressed: the name of an agent is in it. */
function targetOf({ http }: RouteContext): string {
  const { pathname, search } = new URL(http.req.raw.url);
  return pathname.replace(API_PREFIX, '') + search;
}
