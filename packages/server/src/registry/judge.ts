import { type ToolServerManifest, toolName } from '@gatehouse/protocol';
import type { StoredDefinition } from './definition-rows.ts';
import { hiddenCharacters } from './hidden-characters.ts';
import { skeleton } from './look-alikes.ts';
import type { DefinitionKind, PinnedDefinition } from './types.ts';

/** What there is to know about one definition when its state is decided. */
export interface Case {
  manifest: ToolServerManifest;
  definition: Pick<StoredDefinition, 'kind' | 'name' | 'approved' | 'served' | 'reviewedAt' | 'reviewedBy' | 'state'>;
  /** Names of the same kind that look like this one. */
  lookAlikes: string[];
  /**
   * The word of the manifest is enough: it is a tool that was never seen before, or the server was not, or the operator has named it just now.
   */
  firstSight: boolean;
}

export interface Judgement {
  state: PinnedDefinition['state'];
  /** What is served becomes what is approved. */
  approves: boolean;
}

/**
 * Law 8 in one function. INVARIANT: a served body becomes approved only if its digest is the approved or the pinned one, or at first
 * sight of something that the operator named, that hides nothing, and that looks like nothing else on this server.
 */
export function judge(of: Case): Judgement {
  const { approved, served } = of.definition;
  const held: Judgement = { state: 'held', approves: false };
  if (served === null) return { state: 'missing', approves: false };
  if (!isGranted(of) || pinDiffers(of)) return held;
  if (approved?.digest === served.digest) return { state: 'approved', approves: false };
  if (isRejected(of.definition)) return held;
  if (pinOf(of) === served.digest) return { state: 'approved', approves: true };
  if (approved !== null || !of.firstSight || hazards(of).length > 0) return held;
  return { state: 'approved', approves: true };
}

/** For the reviewer: every reason for which a held definition is held. */
export function reasonsHeld(of: Case): string | null {
  const { definition, manifest } = of;
  if (definition.state !== 'held') return null;
  const reasons: string[] = [];
  if (!isGranted(of)) reasons.push(notGranted(definition.kind, definition.name, manifest.name));
  if (pinDiffers(of)) reasons.push(`The manifest pins ${pinOf(of)}, and this is another definition.`);
  if (definition.approved !== null && definition.approved.digest !== definition.served?.digest)
    reasons.push('It has changed since it was approved.');
  reasons.push(...hazards(of));
  if (isRejected(definition)) reasons.push(`Rejected by ${definition.reviewedBy}.`);
  return reasons.length > 0 ? reasons.join(' ') : 'It was not there when the server was first looked at.';
}

/** What makes even a named definition wait for a person at first sight. */
function hazards({ definition, lookAlikes }: Case): string[] {
  const reasons: string[] = [];
  const inName = hiddenCharacters(definition.name);
  const inBody = hiddenCharacters(definition.served?.body ?? null);
  for (const { character } of inName) reasons.push(`Its name holds the hidden character ${character}.`);
  for (const { path, character } of inBody)
    reasons.push(`It holds the hidden character ${character} at ${path || 'its text'}.`);
  if (lookAlikes.length > 0) reasons.push(`Its name looks like ${lookAlikes.map((name) => `"${name}"`).join(', ')}.`);
  if (isServedTwice(definition.served?.body)) reasons.push('The server serves this name more than once.');
  return reasons;
}

/** Two definitions under one name are kept together, as one body that nobody can approve by accident. */
export function servedTwice(bodies: unknown[]): { servedMoreThanOnce: unknown[] } {
  return { servedMoreThanOnce: bodies };
}

export function isServedTwice(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'servedMoreThanOnce' in body;
}

export function isGranted({ manifest, definition }: Pick<Case, 'manifest' | 'definition'>): boolean {
  switch (definition.kind) {
    case 'tool':
      return Object.hasOwn(manifest.tools, definition.name);
    case 'prompt':
      return manifest.prompts !== undefined;
    case 'resource':
    case 'resource-template':
      return manifest.resources !== undefined;
    case 'instructions':
      return true;
  }
}

export function notGranted(kind: DefinitionKind, name: string, server: string): string {
  if (kind === 'tool') {
    return toolName.safeParse(name).success
      ? `The manifest of ${server} does not name this tool: give it a tier under \`tools\` and apply it.`
      : 'Its name has characters that tool names may not have, so no manifest can name it.';
  }
  const member = kind === 'prompt' ? 'prompts' : 'resources';
  return `The manifest of ${server} grants no ${member}: give them a tier under \`${member}\` and apply it.`;
}

function pinOf({ manifest, definition }: Case): string | undefined {
  return definition.kind === 'tool' && Object.hasOwn(manifest.tools, definition.name)
    ? manifest.tools[definition.name]?.definition
    : undefined;
}

function pinDiffers(of: Case): boolean {
  const pin = pinOf(of);
  return pin !== undefined && pin !== of.definition.served?.digest;
}

/** A reviewer who left it held, or never approved, said no. */
function isRejected({ state, approved, reviewedAt }: Case['definition']): boolean {
  return reviewedAt !== null && (state === 'held' || approved === null);
}

/** For each name, the other names of the same kind that look like it. */
export function lookAlikesOf(
  definitions: Iterable<{ kind: DefinitionKind; name: string }>,
): (of: { kind: DefinitionKind; name: string }) => string[] {
  const groups = new Map<string, Set<string>>();
  for (const { kind, name } of definitions) {
    const key = groupKey(kind, name);
    groups.set(key, (groups.get(key) ?? new Set()).add(name));
  }
  return ({ kind, name }) => [...(groups.get(groupKey(kind, name)) ?? [])].filter((other) => other !== name);
}

/** URIs are not read as words: only prompts and tools are chosen by their looks. */
function groupKey(kind: DefinitionKind, name: string): string {
  return kind === 'tool' || kind === 'prompt' ? `${kind} ${skeleton(name)}` : `${kind} =${name}`;
}
