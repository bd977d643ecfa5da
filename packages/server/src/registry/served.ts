import { canonicalJson, digestJson, GatehouseError, type Json, limits } from '../platform/index.ts';
import { servedTwice } from './judge.ts';
import type { DefinitionKind, ServedDefinition } from './types.ts';

/** One definition: the largest schema in the wild is a tenth of this, and every one is held in memory. */
const DEFINITION_BYTES = 256 * 1024;
/** Definitions of one server, of all kinds together. */
const DEFINITIONS_PER_SERVER = 2 * limits.toolsPerServer;
/** Those that were ever approved are kept when they go missing: a server must not fill the house by serving others each time. */
export const DEFINITIONS_KEPT = 4 * DEFINITIONS_PER_SERVER;

/** What is served, by kind and name, with digests. A name that stands there twice is one definition that nobody approves by accident. */
export function digested(server: string, served: readonly ServedDefinition[], kinds?: readonly DefinitionKind[]) {
  if (
    served.length > DEFINITIONS_PER_SERVER ||
    served.filter(({ kind }) => kind === 'tool').length > limits.toolsPerServer
  )
    throw refused(server, `serves more than ${limits.toolsPerServer} tools or ${DEFINITIONS_PER_SERVER} definitions`);
  const bodies = new Map<string, { kind: DefinitionKind; name: string; bodies: Json[] }>();
  for (const { kind, name, body } of served) {
    if (kinds && !kinds.includes(kind))
      throw refused(server, `was asked for ${kinds.join(', ')}, and "${name}" is a ${kind}`);
    const id = idOf({ kind, name });
    const known = bodies.get(id) ?? { kind, name, bodies: [] };
    known.bodies.push(body);
    bodies.set(id, known);
  }
  return new Map(
    [...bodies].map(([id, { kind, name, bodies: all }]) => {
      const body = (all.length === 1 ? all[0] : servedTwice(all)) as Json;
      const bytes = Buffer.byteLength(canonicalJson(body));
      if (bytes > DEFINITION_BYTES || name.length > 2_000)
        throw refused(
          server,
          `serves ${kind} "${name.slice(0, 100)}" in ${bytes} bytes, and ${DEFINITION_BYTES} are the most`,
        );
      return [id, { kind, name, pinned: { digest: digestJson(body), body } }] as const;
    }),
  );
}

export function refused(server: string, what: string): GatehouseError {
  return new GatehouseError(
    'upstream',
    'definitions.refused',
    `The tool server "${server}" ${what}. Nothing of it was taken over; correct the server.`,
  );
}

export function idOf({ kind, name }: { kind: DefinitionKind; name: string }): string {
  return `${kind} ${name}`;
}
