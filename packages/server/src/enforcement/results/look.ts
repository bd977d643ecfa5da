import type { Caller } from '../../identity/index.ts';
import type { Json } from '../../platform/index.ts';
import type { RegisteredTool, Snapshot } from '../../registry/index.ts';
import type { Sent } from '../types.ts';
import { type CleanRules, cleanMessage } from './clean.ts';
import { placeholdersOf } from './mask.ts';
import { describe, labelsOf, withNotice } from './notice.ts';
import { createTally } from './tally.ts';

/** What step 8 made of an answer on its way to the agent. */
export interface Looked {
  sent: Sent;
  labels: string[];
  /** What was done to it, in words for the record. */
  detail: string | null;
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

export type Look = ReturnType<typeof createLook>;

/** Step 8: nothing of a tool's answer is seen by an agent that did not pass here. `key`: 32 bytes, the same on every replica. */
export function createLook({ key }: { key: Uint8Array }) {
  function rulesOf(snapshot: Snapshot, caller: Caller, tool: Pick<RegisteredTool, 'server' | 'labels'>): CleanRules {
    return {
      markup: {
        allowedHosts: snapshot.servers.get(tool.server)?.manifest.allowImageHosts ?? [],
        keep: tool.labels.keepMarkup,
      },
      mask: new Set(['credentials']),
      placeholder: placeholdersOf(key, caller.task.id),
    };
  }

  return {
    rulesOf,

    /** What a server says beside its answer: progress, log lines, why something failed. */
    message: <T extends Json>(message: T, rules: CleanRules): T => cleanMessage(message, rules, createTally()) as T,

    answer(operation: string, sent: Sent, rules: CleanRules): Looked {
      if (!towardsAgent.has(operation)) return { sent, labels: [], detail: null };
      const tally = createTally();
      const body = cleanMessage(sent.body, rules, tally);
      const said = sent.detail === undefined ? undefined : (cleanMessage(sent.detail, rules, createTally()) as string);
      const labels = labelsOf(tally);
      const notice = describe(tally);
      const shown = notice === null ? body : withNotice(body, notice, labels);
      return { sent: { ...sent, body: shown, ...(said !== undefined && { detail: said }) }, labels, detail: notice };
    },
  };
}
