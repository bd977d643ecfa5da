import { observedQuery, paging, type ReplayEvent, rehearsalBodies } from '@gatehouse/protocol';
import { wouldEnd } from '../../governance/index.ts';
import { GatehouseError, toProblem } from '../../platform/index.ts';
import { listVersions, manifestsOfVersion, objectsOfVersion, readVersion } from '../../registry/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type ApiCaller, everyone, type Route, route } from '../route.ts';
import { asConfirmed, askAtTerminal, mayProposeAtTerminal, planAtTerminal, planOfChange } from './apply-at-terminal.ts';
import { personOf } from './session.ts';

const DAY_MS = 24 * 3_600_000;

/** What decides, before and after it is changed: replays, versions, proposals, policies in observe mode. */
export function policyRoutes(deps: ApiDependencies): Route[] {
  const { registry, storage, policyChanges, rehearsals, clock } = deps;
  const describe: ApiDependencies['upstreams']['describe'] = (server) => deps.upstreams.describe(server);
  const describeFor = (caller: ApiCaller) => {
    if (!caller.roles.includes('admin')) return notAsked;
    return caller.restricted ? askAtTerminal(registry, describe) : describe;
  };

  function rangeOf({ since, until, limit }: { since?: string; until?: string; limit: number }) {
    const to = until === undefined ? clock.now() : timeOf(until);
    const from = since === undefined ? to - 30 * DAY_MS : timeOf(since);
    if (from >= to)
      throw new GatehouseError('bad-request', 'replay.range', 'The time to replay begins before it ends.');
    return { since: from, until: to, limit };
  }

  /** Throws for one that is not there: to take nothing away is a mistake. */
  function keyOf(name: string): string {
    if (registry.snapshot().policies.has(name)) return `Policy/${name}`;
    throw new GatehouseError('not-found', 'policy.unknown', `There is no policy file "${name.slice(0, 100)}".`);
  }

  const view = async (number: number, caller: ApiCaller) => policyChanges.get(number, caller.by);

  return [
    route(
      'POST /policy/replay',
      'inspect',
      'Decide recorded actions again, with a change (a stream of JSON lines)',
      { body: rehearsalBodies.replay },
      async ({ caller, body, http }) => {
        const range = rangeOf({
          limit: body.limit,
          ...(body.since !== undefined && { since: body.since }),
          ...(body.until !== undefined && { until: body.until }),
        });
        const tried =
          body.proposal === undefined
            ? { manifests: body.manifests ?? [], prune: body.prune }
            : await policyChanges.work(body.proposal);
        const answer = streamLines(async (send, signal) => {
          const onProgress = (progress: { decisions: number; share: number }) =>
            send({ ...progress, type: 'progress' });
          const result = await rehearsals.replay(tried, range, { describe: describeFor(caller), onProgress, signal });
          // Whoever decides about it is shown the usual time, not one that somebody has picked.
          const isUsual = body.since === undefined && body.until === undefined;
          if (body.proposal !== undefined && isUsual) await policyChanges.keepReplay(body.proposal, result);
          send({ type: 'result', result });
        }, http.req.raw.signal);
        return answer as never;
      },
    ),
    route(
      'GET /policy/observed',
      'inspect',
      'What policies in observe mode would have changed',
      { query: observedQuery },
      async ({ query, http }) =>
        rehearsals.observed(
          rangeOf({
            limit: query.limit,
            ...(query.since !== undefined && { since: query.since }),
            ...(query.until !== undefined && { until: query.until }),
          }),
          http.req.raw.signal,
        ),
    ),
    route(
      'GET /policy/versions',
      everyone,
      'Versions of what decides, newest first',
      { query: paging },
      async ({ query }) => {
        const items = await listVersions(storage.db, { before: placeOf(query.cursor), limit: query.limit });
        return { items, cursor: items.length === query.limit ? String(items.at(-1)?.number) : null };
      },
    ),
    route('GET /policy/versions/:number', 'inspect', 'One version, with what it was made of', {}, async ({ param }) => {
      const number = numberOf(param('number'));
      return { ...(await readVersion(storage.db, number)), manifests: await objectsOfVersion(storage.db, number) };
    }),
    route(
      'POST /policy/versions/:number/plan',
      'inspect',
      'What going back to a version would change',
      {},
      async ({ param }) => {
        const { manifests, remove, notes } = await manifestsOfVersion(storage.db, numberOf(param('number')));
        const rehearsal = await registry.rehearse(manifests, { prune: false, remove });
        return { changes: rehearsal.steps.map(({ change }) => change), notes, ends: await wouldEnd(deps, rehearsal) };
      },
    ),
    route(
      'POST /policy/versions/:number/rollback',
      'administer',
      'Go back to a version: what tightens at once, the rest as a proposal where that is asked for',
      {
        body: rehearsalBodies.rollback,
        plan: async ({ param }) => {
          const { manifests, remove } = await manifestsOfVersion(storage.db, numberOf(param('number')));
          return planOfChange(policyChanges, (how) =>
            planAtTerminal((more) => registry.plan(manifests, { prune: false, remove, ...how, ...more })),
          );
        },
      },
      async ({ caller, param, body, confirmed }) => {
        const rollbackTo = numberOf(param('number'));
        const { manifests, remove, notes } = await manifestsOfVersion(storage.db, rollbackTo);
        const { changes, proposed } = await policyChanges.change({
          manifests,
          prune: false,
          remove,
          rollbackTo,
          note: body.note,
          by: caller.by,
          describe: describeFor(caller),
          ...(caller.restricted && { ...asConfirmed(confirmed), mayPropose: mayProposeAtTerminal }),
        });
        if (!proposed) await deps.storage.feed.waitForAll(await deps.storage.feed.head());
        const [newest] = await listVersions(storage.db, { limit: 1 });
        return { changes, notes, version: proposed ? null : (newest?.number ?? null), proposed: proposed ?? null };
      },
    ),
    route(
      'POST /policies/:name/remove',
      'administer',
      'Take a policy file away: at once where that only tightens, otherwise as a proposal where that is asked for',
      {
        body: rehearsalBodies.removePolicy,
        plan: ({ param }) =>
          planOfChange(policyChanges, (how) =>
            planAtTerminal((more) =>
              registry.plan([], { prune: false, remove: [keyOf(param('name'))], ...how, ...more }),
            ),
          ),
      },
      async ({ caller, param, body, confirmed }) => {
        const { changes, proposed } = await policyChanges.change({
          manifests: [],
          prune: false,
          remove: [keyOf(param('name'))],
          note: body.note,
          by: caller.by,
          describe: describeFor(caller),
          ...(caller.restricted && asConfirmed(confirmed)),
        });
        if (!proposed) await deps.storage.feed.waitForAll(await deps.storage.feed.head());
        return { changes, proposed: proposed ?? null };
      },
    ),
    route(
      'GET /policy/proposals',
      everyone,
      'Changes that wait for a second person, and those that did',
      { query: paging },
      async ({ caller, query }) => {
        const items = await policyChanges.list({ before: placeOf(query.cursor), limit: query.limit }, caller.by);
        return { items, cursor: items.length === query.limit ? String(items.at(-1)?.number) : null };
      },
    ),
    route('GET /policy/proposals/:number', everyone, 'One of them, with its manifests', {}, async ({ caller, param }) =>
      view(numberOf(param('number')), caller),
    ),
    route(
      'POST /policy/proposals/:number/options',
      'ship',
      'Begin to ship: the passkey signs the digest of what is shown',
      { body: rehearsalBodies.options },
      async ({ caller, param, body }) => ({
        options: await policyChanges.options(numberOf(param('number')), personOf(caller).email, body.digest),
      }),
    ),
    route(
      'POST /policy/proposals/:number/ship',
      'ship',
      'Ship exactly what is shown',
      { body: rehearsalBodies.ship },
      async ({ caller, param, body }) => {
        const number = numberOf(param('number'));
        const { email } = personOf(caller);
        await policyChanges.ship(number, email, { digest: body.digest, assertion: body.assertion as never }, describe);
        await deps.storage.feed.waitForAll(await deps.storage.feed.head());
        return view(number, caller);
      },
    ),
    route(
      'POST /policy/proposals/:number/reject',
      'secure',
      'Say no to it, or take back one’s own',
      { body: rehearsalBodies.reject },
      async ({ caller, param, body }) => {
        const number = numberOf(param('number'));
        await policyChanges.reject(number, caller.by, body.reason);
        return view(number, caller);
      },
    ),
  ];
}

/** To ask a server of a manifest starts the command in it: only those who might apply it make us do that. */
const notAsked = async ({ name }: { name: string }): Promise<never> => {
  throw new GatehouseError('forbidden', 'plan.not-asked', `${name} is asked for its tools by admins only.`);
};

function numberOf(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new GatehouseError(
    'bad-request',
    'number.malformed',
    `"${text.slice(0, 40)}" is no number of a version or proposal.`,
  );
}

const placeOf = (cursor: string | undefined) => (cursor === undefined ? undefined : numberOf(cursor));

function timeOf(text: string): number {
  const time = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isSafeInteger(time)) return time;
  throw new GatehouseError(
    'bad-request',
    'replay.range',
    `"${text.slice(0, 40)}" is no time: write 2026-01-31T12:00:00Z, or milliseconds since the epoch.`,
  );
}

/** Answers line by line while it works; ends the work when nobody reads any more. */
function streamLines(
  work: (send: (event: ReplayEvent) => void, signal: AbortSignal) => Promise<void>,
  gone: AbortSignal,
): Response {
  const left = new AbortController();
  const signal = AbortSignal.any([left.signal, gone]);
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      const send = (event: ReplayEvent) => {
        if (!signal.aborted) controller.enqueue(encoder.encode(`${JSON.stringify(event)}\n`));
      };
      try {
        await work(send, signal);
      } catch (error) {
        const { body } = toProblem(error);
        send({ type: 'problem', code: String(body.title), detail: String(body.detail) });
      }
      if (!signal.aborted) controller.close();
    },
    cancel: () => left.abort(),
  });
  return new Response(body, {
    headers: { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
  });
}
