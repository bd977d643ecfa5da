import { isScopeWithin, leastSecondsOf, narrowScope } from '@gatehouse/protocol';
import { agentAllows } from '../credentials/index.ts';
import { canonicalJson, digestJson, isJsonObject, type Json } from '../platform/index.ts';
import { directEffects, directRef } from '../policy/index.ts';
import { type GivenTo, givenOf, type RegisteredTool, type Snapshot, unlabelled } from '../registry/index.ts';
import type { Refusal } from './subject.ts';
import type { Reason } from './who.ts';

/** How a credential that is handed out is named behind its provider, where tools and features have their names. */
export const CREDENTIAL = 'credential';

type Declared = Pick<Snapshot, 'templates'> & Partial<Pick<Snapshot, 'credentialProviders'>>;

/** INVARIANT: handed out is only what the provider's manifest and the task's template both say, whatever policies permit (law 3). */
export function findHandOut(
  { credentialProviders, templates }: Declared,
  name: string,
  { environment, template }: { environment: string; template: string },
): RegisteredTool | Refusal {
  const provider = credentialProviders?.get(name);
  if (!provider?.environments.includes(environment))
    return {
      code: 'provider.unknown',
      reason: `There is no credential provider "${name}" in environment "${environment}".`,
      tool: null,
    };
  const { direct } = provider;
  if (!direct)
    return {
      code: 'credential.not-direct',
      reason: `Credentials of "${name}" are used by the gate alone: call a tool server that has one. An operator could let tasks be handed them, under \`direct\` of the provider.`,
      tool: null,
    };
  if (!handsOut({ templates }, template, name)) return { ...notInTemplate(template, name), tool: null };
  return {
    ref: directRef(name),
    server: directRef(name),
    name: `#${CREDENTIAL}`,
    tier: direct.tier,
    effects: [...directEffects],
    resourceArgument: null,
    state: 'approved',
    digest: digestJson({ ...provider, description: '' }),
    // What comes back is our own word: the credential stands in no result.
    labels: { ...unlabelled, returns: { trust: 'trusted', sensitive: [], fields: {} } },
    definition: null,
  };
}

export const isHandOut = ({ name }: Pick<RegisteredTool, 'name'>): boolean => name === `#${CREDENTIAL}`;

/**
 * What would be handed out for what is asked. INVARIANT: only where the templates of the task and of those it was handed on from all say so, and never
 * more than was asked for, than the provider issues, and than each of them gives. More is refused, and not cut down: whoever asks for it would find
 * out only where it fails.
 */
export function handOutOf(
  snapshot: Declared,
  provider: string,
  tasks: readonly GivenTo[],
  asking: Json,
  /** The longest life that the agent's owner allows. */
  agentSeconds: number | undefined,
): { scope: Json; seconds: number; clamped?: string[] } | { refused: Reason } {
  const refused = (code: string, reason: string) => ({ refused: { code, reason } });
  const manifest = snapshot.credentialProviders?.get(provider);
  const given = isJsonObject(asking) ? asking : {};
  if (!manifest?.direct) return refused('provider.unknown', `There is no "${provider}".`);
  const asked = isJsonObject(given.scope) ? given.scope : {};
  const without = tasks.find(({ template }) => !handsOut(snapshot, template, provider));
  if (without) return { refused: notInTemplate(without.template, provider) };
  const limits = givenOf(snapshot, provider, tasks);
  const alone = narrowScope(manifest.from, asked);
  const problem = [alone, limits].flatMap((each) => ('problem' in each ? [each.problem] : []))[0];
  if (problem !== undefined || 'problem' in alone || 'problem' in limits)
    return refused('credential.scope', problem ?? '');
  const issued = narrowScope(manifest.from, asked, limits.within);
  if ('problem' in issued)
    return refused(
      'credential.scope',
      `${issued.problem} They are given at most ${canonicalJson(limits.within[0] as Json)}. Ask for a part of that.`,
    );
  const isLess = !isScopeWithin(manifest.from, alone.scope, issued.scope);
  if (isLess && Object.keys(asked).length > 0)
    return refused(
      'credential.scope',
      `Tasks of the template "${tasks[0]?.template}" are given less of "${provider}" than was asked for: at most ${canonicalJson(limits.within[0] as Json)}. Ask for a part of that.`,
    );
  const bounds = [
    { seconds: manifest.direct.maxSeconds, why: `no more than ${manifest.direct.maxSeconds} s are handed out` },
    { seconds: manifest.life.maxSeconds, why: `the provider allows ${manifest.life.maxSeconds} s` },
    ...(agentSeconds === undefined ? [] : [{ seconds: agentSeconds, why: agentAllows(agentSeconds) }]),
  ];
  const most = Math.min(...bounds.map((bound) => bound.seconds));
  const wanted = typeof given.seconds === 'number' ? given.seconds : manifest.life.defaultSeconds;
  const clamped = bounds.filter((bound) => bound.seconds < wanted).map(({ why }) => why);
  // As long as it will work: whoever approves it is told no less.
  const seconds = Math.max(Math.min(wanted, most), leastSecondsOf(manifest.from.type));
  if (seconds > most)
    return refused(
      'credential.too-long',
      `What "${provider}" issues works for ${seconds} s at least, and ${bounds.find((bound) => bound.seconds === most)?.why}. An operator could allow more.`,
    );
  return { scope: issued.scope as Json, seconds, ...(clamped.length > 0 && { clamped }) };
}

const handsOut = ({ templates }: Pick<Snapshot, 'templates'>, template: string, provider: string): boolean =>
  templates.get(template)?.credentials?.some((each) => each.provider === provider && each.direct === true) ?? false;

const notInTemplate = (template: string, provider: string) => ({
  code: 'credential.not-in-template',
  reason: `Tasks of the template "${template}" are handed no credentials of "${provider}". Its author could say so, under \`credentials\`.`,
});
