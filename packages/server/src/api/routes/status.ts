import type { ApiDependencies } from '../dependencies.ts';
import { type Route, route } from '../route.ts';
import { VERSION } from '../version.ts';

async function troubled(sinks: ApiDependencies['sinks']) {
  return (await sinks.list()).flatMap(({ name, state, problem }) =>
    state === 'delivering' ? [] : [{ name, state, problem }],
  );
}

export function statusRoutes({ config, storage, ledger, sinks, enforcement, startedAt }: ApiDependencies): Route[] {
  return [
    route('GET /status', 'public', 'Whether the server is well', {}, async ({ caller }) => ({
      version: VERSION,
      replica: config.replica,
      database: storage.dialect,
      startedAt,
      publicUrl: config.publicUrl,
      mcpUrl: `${config.publicUrl}/mcp`,
      fresh: storage.feed.fresh(),
      inFlight: enforcement.inFlight(),
      // Where the data lies is for the people of the house only.
      dataDir: caller ? config.dataDir : null,
      sinks: caller ? await troubled(sinks) : null,
      record: caller
        ? { problem: ledger.problem(), witnessing: ledger.witnessing(), publishing: ledger.publishing() }
        : null,
    })),
  ];
}
