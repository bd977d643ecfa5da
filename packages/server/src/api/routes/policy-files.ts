import { type PolicyFileSummary, type PolicyFileView, paging, policyFileBody } from '@gatehouse/protocol';
import { checkPolicies, lint } from '../../authoring/index.ts';
import { GatehouseError } from '../../platform/index.ts';
import { builtInPolicies } from '../../policy/index.ts';
import type { Snapshot } from '../../registry/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type Route, route } from '../route.ts';

/** The texts that decide, as they are written, and what is wrong with one that is not in force. */
export function policyFileRoutes({ registry }: ApiDependencies): Route[] {
  return [
    route(
      'GET /policies',
      'inspect',
      'Policy files, the built-in ones first',
      { query: paging },
      async ({ query: { cursor = '', limit } }) => {
        const rest = filesOf(registry.snapshot()).filter(
          ({ name, builtIn }) => cursor === '' || (builtIn === isBuiltIn(cursor) ? name > cursor : !builtIn),
        );
        const items = rest
          .slice(0, limit)
          .map(({ cedar, ...file }): PolicyFileSummary => ({ ...file, lines: cedar.split('\n').length }));
        return { items, cursor: rest.length > limit ? (items.at(-1)?.name ?? null) : null };
      },
    ),
    route('GET /policies/:name', 'inspect', 'One policy file, with its text', {}, async ({ param }) => {
      const file = filesOf(registry.snapshot()).find(({ name }) => name === param('name'));
      if (file) return file;
      throw new GatehouseError(
        'not-found',
        'policy.unknown',
        `There is no policy file "${param('name').slice(0, 100)}".`,
      );
    }),
    route(
      'POST /policy/check',
      'inspect',
      'What an apply of this policy file would refuse, and what it probably does not mean; nothing is changed',
      { body: policyFileBody },
      async ({ body }) => {
        const snapshot = registry.snapshot();
        const policies = new Map([...snapshot.policies, [body.name, { kind: 'Policy' as const, ...body }]]);
        const tried = { ...snapshot, policies };
        const problems = checkPolicies(tried);
        if (problems.length > 0) return { problems };
        return { problems: lint(tried).filter(({ kind, name }) => kind === 'Policy' && name === body.name) };
      },
    ),
  ];
}

/** Those come first; no manifest's name has a slash. */
const isBuiltIn = (name: string) => name.includes('/');

function filesOf({ policies, environments }: Snapshot): PolicyFileView[] {
  const written = [...policies.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return [
    ...builtInPolicies(environments.values()).map((file) => ({ ...file, builtIn: true, mode: 'enforce' as const })),
    ...written.map(({ name, cedar, mode }) => ({ name, builtIn: false, mode: mode ?? ('enforce' as const), cedar })),
  ];
}
