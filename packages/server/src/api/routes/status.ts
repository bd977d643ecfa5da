import { isUnavailable } from '../../platform/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { healthOf } from '../health.ts';
import { type Route, route } from '../route.ts';
import { VERSION } from '../version.ts';
import { secretsDue } from './secret-views.ts';

const unlessUnavailable = <T>(asked: Promise<T>): Promise<T | null> =>
  asked.catch((error: unknown) => {
    if (isUnavailable(error)) return null;
    throw error;
  });

/** Null while the database does not say how they do: that is what `troubles` is about. */
async function troubled(sinks: ApiDependencies['sinks']) {
  const all = await unlessUnavailable(sinks.list());
  return all?.flatMap(({ name, state, problem }) => (state === 'delivering' ? [] : [{ name, state, problem }])) ?? null;
}

export function statusRoutes(deps: ApiDependencies): Route[] {
  const { config, storage, ledger, sinks, credentials, enforcement, startedAt } = deps;
  return [
    route('GET /status', 'public', 'Whether the server is well', {}, async ({ caller }) => {
      const known = {
        fresh: storage.feed.fresh(),
        troubles: storage.troubles().map((each) => ({ ...each, problem: caller ? each.problem : null })),
        stuck: caller ? await unlessUnavailable(credentials.leases.stuck()) : null,
        unrevoked: caller ? await unlessUnavailable(credentials.accounts.unrevoked()) : null,
        sinks: caller ? await troubled(sinks) : null,
        record: caller
          ? { problem: ledger.problem(), witnessing: ledger.witnessing(), publishing: ledger.publishing() }
          : null,
      };
      return {
        version: VERSION,
        replica: config.replica,
        database: storage.dialect,
        startedAt,
        publicUrl: config.publicUrl,
        mcpUrl: `${config.publicUrl}/mcp`,
        health: healthOf(known),
        ...known,
        inFlight: enforcement.inFlight(),
        // Where the data lies is for the people of the house only.
        dataDir: caller ? config.dataDir : null,
        secretsDue: caller ? await unlessUnavailable(secretsDue(deps)) : null,
      };
    }),
  ];
}
