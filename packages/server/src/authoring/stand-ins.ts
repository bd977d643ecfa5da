import {
  type Manifest,
  type StandIn,
  type StandIns,
  type ToolDefinitions,
  templateManifest,
  toolServerManifest,
} from '@gatehouse/protocol';
import { digestJson, GatehouseError, type Json } from '../platform/index.ts';

/** The environment of stand-ins, and of agents that nobody declared: where nothing real is. */
export const STAND_IN_ENVIRONMENT = 'stand-in';

/** Registers stand-ins as if manifests had: each server with what its tools take. */
export function withStandIns(
  manifests: readonly Manifest[],
  definitions: ToolDefinitions,
  standIns: StandIns,
): { manifests: Manifest[]; definitions: ToolDefinitions } {
  const byServer = Map.groupBy(Object.entries(standIns.tools), ([ref]) => ref.slice(0, ref.indexOf('/')));
  const environments = manifests
    .filter(({ kind }) => kind === 'Environment')
    .map((each) => (each as { name: string }).name);
  const servers = { ...definitions.servers };
  const added: Manifest[] = Object.entries(standIns.templates).map(([name, { allow }]) => {
    if (manifests.some((manifest) => manifest.kind === 'Template' && manifest.name === name))
      throw registered(`The template "${name}"`);
    return templateManifest.parse({ kind: 'Template', name, allow });
  });
  for (const [name, tools] of byServer) {
    if (manifests.some((manifest) => manifest.kind === 'ToolServer' && manifest.name === name))
      throw registered(`The tool server "${name}"`);
    const toolOf = (ref: string) => ref.slice(name.length + 1);
    added.push(
      toolServerManifest.parse({
        kind: 'ToolServer',
        name,
        environments: [...environments, STAND_IN_ENVIRONMENT],
        transport: { type: 'stdio', command: 'stand-in' },
        tools: Object.fromEntries(
          tools.map(([ref, { tier, effects, domain, arguments: taken }]) => [
            toolOf(ref),
            {
              tier,
              effects,
              ...(domain !== undefined && { domain }),
              arguments: Object.fromEntries(
                Object.entries(taken).flatMap(([argument, { role }]) => (role ? [[argument, { role }]] : [])),
              ),
            },
          ]),
        ),
      }),
    );
    servers[name] = Object.fromEntries(
      tools.map(([ref, { arguments: taken }]) => {
        const inputSchema = schemaOf(taken);
        return [toolOf(ref), { digest: digestJson({ ref, inputSchema } as Json), inputSchema }];
      }),
    );
  }
  return { manifests: [...manifests, ...added], definitions: { ...definitions, servers } };
}

const registered = (what: string) =>
  new GatehouseError(
    'bad-request',
    'stand-in.registered',
    `${what} has a manifest: a stand-in of the same name would hide what it is. Give it another name.`,
  );

function schemaOf(taken: StandIn['arguments']): Record<string, unknown> {
  const types = { strings: { type: 'array', items: { type: 'string' } } } as Record<string, unknown>;
  return {
    type: 'object',
    properties: Object.fromEntries(
      Object.entries(taken).map(([argument, { type }]) => [argument, types[type] ?? { type }]),
    ),
    required: Object.entries(taken).flatMap(([argument, { required }]) => (required ? [argument] : [])),
  };
}
