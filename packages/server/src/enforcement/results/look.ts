import type { Decision } from '@gatehouse/protocol';
import type { Caller } from '../../identity/index.ts';
import type { Json } from '../../platform/index.ts';
import type { RegisteredTool, Snapshot } from '../../registry/index.ts';
import type { Sent } from '../types.ts';
import { type CleanRules, cleanMessage } from './clean.ts';
import { maskedFields } from './fields.ts';
import { builtInDetectors, placeholdersOf } from './mask.ts';
import { describe, labelsOf, withNotice } from './notice.ts';
import type { Raised } from './outside-detectors.ts';
import { createTally } from './tally.ts';

/** What step 8 made of an answer on its way to the agent. */
export interface Looked {
  sent: Sent;
  /** What the server has said in it: without what is told the agent about it. */
  read: Json;
  labels: string[];
  /** What was done to it, in words for the record. */
  detail: string | null;
}

/** What detectors of the operator have made of it besides. */
export function withFound({ sent, read, labels, detail }: Looked, { body, labels: found }: Raised): Looked {
  if (found.length === 0) return { sent, read, labels, detail };
  const notice = [detail, found.join(', ')].filter(Boolean).join('; ');
  const all = [...labels, ...found];
  return { sent: { ...sent, body: withNotice(body, notice, all) }, read: body, labels: all, detail: notice };
}

/** Answers on their way to the agent. What its client answers to a server is on its way to the server, and passes. */
const towardsAgent = new Set([
  'tools/call',
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'prompts/get',
  'completion/complete',
  'tasks/get',
  'tasks/result',
  'tasks/list',
  'tasks/cancel',
  'tasks/update',
]);

/** Kinds that are found in a text. Others are where an operator says that they are. */
const detectable = new Set(builtInDetectors.flatMap(({ sensitive }) => sensitive));

/** Secrets are masked unless the tool says that it gives them and everything that permitted the call reveals them. */
function maskOf(
  { environments }: Snapshot,
  { task }: Caller,
  { labels }: Pick<RegisteredTool, 'labels'>,
  obligations: Decision['obligations'],
): ReadonlySet<string> {
  const mask = new Set([...(obligations?.mask ?? []), ...(environments.get(task.environment)?.mask ?? [])]);
  const isRevealed = obligations?.reveal?.includes('credentials') && labels.returns.sensitive.includes('credentials');
  if (!isRevealed) mask.add('credentials');
  return mask;
}

export type Look = ReturnType<typeof createLook>;

/** Step 8: nothing of a tool's answer is seen by an agent that did not pass here. `key`: 32 bytes, the same on every replica. */
export function createLook({ key }: { key: Uint8Array }) {
  function rulesOf(
    snapshot: Snapshot,
    caller: Caller,
    tool: Pick<RegisteredTool, 'server' | 'labels'>,
    obligations?: Decision['obligations'],
  ): CleanRules {
    const mask = maskOf(snapshot, caller, tool, obligations);
    const { returns } = tool.labels;
    return {
      markup: {
        allowedHosts: snapshot.servers.get(tool.server)?.manifest.allowImageHosts ?? [],
        keep: tool.labels.keepMarkup,
      },
      mask,
      fields: maskedFields(returns, mask),
      whole: returns.sensitive.find((kind) => mask.has(kind) && !detectable.has(kind)) ?? null,
      placeholder: placeholdersOf(key, caller.task.id),
    };
  }

  return {
    rulesOf,

    /** What a server says beside its answer: progress, log lines, why something failed. */
    message: <T extends Json>(message: T, rules: CleanRules): T => cleanMessage(message, rules, createTally()) as T,

    answer(operation: string, sent: Sent, rules: CleanRules, remarks: readonly string[] = []): Looked {
      if (!towardsAgent.has(operation)) return { sent, read: sent.body, labels: [], detail: null };
      const tally = createTally();
      const body = cleanMessage(sent.body, rules, tally);
      const said = sent.detail === undefined ? undefined : (cleanMessage(sent.detail, rules, createTally()) as string);
      const labels = labelsOf(tally);
      const notice = [...remarks, describe(tally)].filter((each) => each !== null).join('; ') || null;
      const shown = notice === null ? body : withNotice(body, notice, labels);
      const isSame = shown === sent.body && said === sent.detail;
      const looked = isSame ? sent : { ...sent, body: shown, ...(said !== undefined && { detail: said }) };
      return { sent: looked, read: body, labels, detail: notice };
    },
  };
}
