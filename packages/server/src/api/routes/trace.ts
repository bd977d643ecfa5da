import { traceTask } from '../../governance/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type Route, route } from '../route.ts';

export const traceRoutes = (deps: ApiDependencies): Route[] => [
  route(
    'GET /tasks/:id/trace',
    everyone,
    'A task from who asked for it to its end, with what it handed on',
    {},
    async ({ caller, param }) => {
      const trace = await traceTask(deps, param('id'));
      await deps.reads.searched({ by: caller.by, what: `trace of ${param('id')}`, items: trace.steps });
      return trace;
    },
  ),
];
