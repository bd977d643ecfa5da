import { bodies, type DefinitionView, type ToolServerManifest } from '@gatehouse/protocol';
import { z } from 'zod';
import { applyWorkspace, askWithCredentials, hasEnded, rehearseWorkspace, wouldEnd } from '../../governance/index.ts';
import { GatehouseError, isJsonObject } from '../../platform/index.ts';
import type { PinnedDefinition } from '../../registry/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type ApiCaller, everyone, type Route, route } from '../route.ts';
import { asConfirmed, askAtTerminal, mayProposeAtTerminal, planAtTerminal, planOfChange } from './apply-at-terminal.ts';
import { missingSecrets } from './missing-secrets.ts';

const definitionQuery = z.strictObject({
  server: z.string().optional(),
  state: z.enum(['approved', 'held', 'missing']).optional(),
});

export function workspaceRoutes(deps: ApiDependencies): Route[] {
  const { registry, refreshDefinitions, policyChanges } = deps;
  const applying = { registry, describe: (server: ToolServerManifest) => deps.upstreams.describe(server) };
  const atTerminal = { registry, describe: askAtTerminal(registry, applying.describe) };
  const applierOf = ({ restricted }: ApiCaller) => (restricted ? atTerminal : applying);
  const held = (pinned: PinnedDefinition[]) => pinned.filter(({ state }) => state === 'held');

  /** To ask a server of a manifest starts the command in it: for a plan, only those who might apply it make us do that. */
  const notAsked = async (server: ToolServerManifest): Promise<never> => {
    throw new GatehouseError('forbidden', 'plan.not-asked', `${server.name} is asked for its tools by admins only.`);
  };

  return [
    route('GET /servers', everyone, 'Tool servers', {}, async () => ({
      items: await Promise.all(
        [...registry.snapshot().servers.values()].map(async (server) => {
          const definitions = [...server.tools.values()];
          return {
            name: server.name,
            manifest: server.manifest,
            tools: definitions.length,
            held: definitions.filter(({ state }) => state === 'held').length,
            authorization: await deps.authorizations.views(server.manifest),
          };
        }),
      ),
    })),
    route('GET /tools', everyone, 'Tools of all servers', {}, async () => ({
      items: [...registry.snapshot().servers.values()].flatMap((server) =>
        [...server.tools.values()].map(({ definition, ref, name, tier, effects, labels, state, digest }) => ({
          ref,
          server: server.name,
          name,
          tier,
          effects,
          domain: labels.domain,
          state,
          description:
            isJsonObject(definition) && typeof definition.description === 'string' ? definition.description : null,
          digest,
        })),
      ),
    })),
    route(
      'POST /servers/:name/refresh',
      'refresh',
      'Ask a server what it serves now',
      {},
      async ({ caller, param }) => {
        if (!registry.snapshot().servers.has(param('name')))
          throw new GatehouseError('not-found', 'server.unknown', `There is no tool server "${param('name')}".`);
        return { held: held(await refreshDefinitions(param('name'), caller.by)) as DefinitionView[] };
      },
    ),
    route(
      'GET /definitions',
      everyone,
      'Pinned definitions, and changes that wait for review',
      { query: definitionQuery },
      async ({ query }) => ({
        items: (await registry.listDefinitions(
          query as Parameters<typeof registry.listDefinitions>[0],
        )) as DefinitionView[],
      }),
    ),
    route(
      'POST /definitions/review',
      'review',
      'Approve or reject a definition, as seen',
      { body: bodies.review },
      async ({ caller, body }) => {
        const { decision, digest, ...of } = body;
        return (await registry.reviewDefinition(of, decision, digest, caller.by)) as DefinitionView;
      },
    ),
    route('GET /templates', everyone, 'Permission templates', {}, async () => ({
      items: [...registry.snapshot().templates.values()],
    })),
    route(
      'POST /plan',
      'inspect',
      'What an apply would change',
      { body: bodies.apply },
      async ({ caller, body, may }) => {
        const planning = caller.roles.includes('admin') ? applierOf(caller) : { registry, describe: notAsked };
        const rehearsal = await rehearseWorkspace(planning, body.manifests, { prune: body.prune });
        return {
          changes: rehearsal.steps.map(({ change }) => change),
          ends: await wouldEnd(deps, rehearsal),
          warnings: may('GET /secrets') ? await missingSecrets(body.manifests, deps) : [],
        };
      },
    ),
    route(
      'POST /apply',
      'administer',
      'Apply manifests: all or nothing',
      {
        body: bodies.apply,
        plan: ({ body }) =>
          planOfChange(policyChanges, (how) =>
            planAtTerminal((more) =>
              applyWorkspace(atTerminal, body.manifests, { prune: body.prune, by: '', dryRun: true, ...how, ...more }),
            ),
          ),
      },
      async ({ caller, body, confirmed, may }) => {
        const begun = deps.clock.now();
        const applied = await policyChanges.change({
          manifests: body.manifests,
          prune: body.prune,
          note: body.note,
          by: caller.by,
          describe: applierOf(caller).describe,
          ...(caller.restricted && { ...asConfirmed(confirmed), mayPropose: mayProposeAtTerminal }),
        });
        await deps.storage.feed.waitForAll(await deps.storage.feed.head());
        const problems = await askWithCredentials(registry, refreshDefinitions, applied.problems, caller.by);
        const ended = applied.proposed ? undefined : await hasEnded(deps, applied.changes, begun);
        const warnings = may('GET /secrets') ? await missingSecrets(body.manifests, deps) : [];
        return { ...applied, problems, warnings, ...(ended && { ended }) };
      },
    ),
    route('GET /export', 'inspect', 'The workspace as manifests', {}, async () => ({
      manifests: await registry.exportManifests(),
    })),
  ];
}
