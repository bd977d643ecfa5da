/** A statement with its parameters; a name has the server keep its plan. */
export interface Statement {
  name: string;
  text: string;
  values: unknown[];
}
export type Run = (statement: Statement) => Promise<Record<string, unknown>[]>;

/** Spaces of advisory locks (the first of two keys), so that ours don't meet another application's by accident. */
export const LOCKS = { fence: 0x6761_0001, feed: 0x6761_0002, log: 0x6761_0003, counter: 0x6761_0004 };

export function lockNumber(name: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  return hash | 0;
}
