import { setTimeout as sleep } from 'node:timers/promises';
import type { Approval, DetectorManifest } from '@gatehouse/protocol';
import type { Approvals } from '../approvals/index.ts';
import type { Ledger, LedgerEntry } from '../ledger/index.ts';
import type { Clock, Json, Log } from '../platform/index.ts';
import type { Baseline, Flow } from '../policy/index.ts';
import type { Guard, OpenCall } from '../storage/index.ts';
import type { Wanted } from './budgets/index.ts';
import type { Key, Keying } from './key.ts';
import { learnFrom } from './learn.ts';
import { endOf, type OpenCalls } from './open-calls.ts';
import { recordOf } from './record.ts';
import { type Releases, refusalIn } from './release.ts';
import {
  type CleanRules,
  createAhead,
  type Kept,
  type Look,
  type OutsideDetectors,
  type Size,
  sizeOf,
  whyHeld,
  withFound,
  withoutExcess,
} from './results/index.ts';
import { labelsOfRaised, raised, raisedBy, type Source, unlooked } from './source.ts';
import {
  type Action,
  type Decided,
  type Dispatch,
  type EarlierCall,
  NotSent,
  type Outcome,
  type Sent,
} from './types.ts';
import { untilAborted } from './until-aborted.ts';

export interface AnswerDependencies {
  approvals: Approvals;
  baseline: Baseline;
  clock: Clock;
  detectors: OutsideDetectors;
  flow: Flow;
  keying: Pick<Keying, 'activate'>;
  ledger: Ledger;
  log: Log;
  look: Look;
  openCalls: Pick<OpenCalls, 'leftUnknown'>;
  releases: Releases;
}

/** A call that is on record as dispatched. */
export interface Dispatched extends Decided {
  approval: Approval | undefined;
  /** The approval or standing grant that it runs on, as its records name it. */
  yes: string | null;
  /** What it uses of budgets. */
  wanted: Wanted | null;
  /** Of a call that may change something. */
  open: OpenCall | null;
  /** Whose data it brings, who looks at it besides, and what is cleaned of it. */
  source: Source;
  detectors: readonly DetectorManifest[];
  rules: CleanRules;
  /** What the agent is told with the result. */
  remarks: string[];
  key: Key | undefined;
}

/** Who hears that nobody knows finds it in the record, unless the database is away. */
const UNKNOWN_WRITTEN_MS = 1_000;

/** What a server asks of the agent's client. */
export const serverAsks: ReadonlySet<string> = new Set([
  'sampling/createMessage',
  'elicitation/create',
  'elicitation/create:url',
]);

/** Steps 7 to 9 once the dispatch is durable: sends, looks at what comes back, records the outcome. */
export function createAnswering(deps: AnswerDependencies) {
  const { approvals, clock, flow, ledger, log, look, releases } = deps;

  async function sendAndRecord(
    call: Dispatched,
    signal: AbortSignal,
    send: (dispatch: Dispatch) => Promise<Sent>,
  ): Promise<Outcome> {
    const { action, actionId, tool, yes, source, detectors, rules, key } = call;
    const isAsked = serverAsks.has(action.operation);
    const limit = source.obligations?.limit;
    try {
      if (signal.aborted) throw new NotSent(messageOf(signal.reason));
      const asked = isAsked ? await noteQuestion(call) : [];
      if (key) await activate(key, actionId);
      const ahead = createAhead(source.tool);
      const { operation } = action;
      const dispatch: Dispatch = {
        actionId,
        tool,
        arguments: action.arguments,
        approval: yes,
        ...(key && { credential: key.injection }),
        call: earlierCall(action, source),
        signal,
        clean: (message) => look.message(message, rules),
        heard(message) {
          ahead.count(message);
          const labels = note(call, unlooked(source, detectors), message);
          return labels instanceof Promise ? labels.then(() => undefined) : undefined;
        },
      };
      const answer = withoutExcess(source.tool, limit, await untilAborted(send(dispatch), signal));
      // 8 look: what the task has seen is durable before the agent sees it (law 9)
      const looked = look.answer(operation, answer, rules, call.remarks);
      const isLookedAt = detectors.length > 0 && !isAsked && !action.gateway;
      const found = isLookedAt ? await untilAborted(detect(call, 'result', looked.read), signal) : undefined;
      const { sent, read, detail } = found ? withFound(looked, found) : looked;
      const labels = [...looked.labels, ...(found?.labels ?? [])];
      const over = isAsked ? null : whyHeld(source.tool, limit, read);
      const reason = over?.reason ?? found?.hold;
      if (reason) {
        outcome(call, sent.result, {
          result: sent.body,
          labels: [...labels, 'held'],
          changes: sent.changes ?? [],
          detail: [`held: ${reason}`, detail].filter(Boolean).join(' · '),
        });
        const size = over?.size ?? sizeOf(read);
        return await hold(call, {
          body: sent.body,
          labels: [...labels, ...(found ? labelsOfRaised(found) : [])],
          reason,
          size,
        });
      }
      const noted = isAsked ? asked : await note(call, found ? raised(source, found) : source, read);
      // 9 outcome
      const said = [sent.detail, detail].filter((each) => typeof each === 'string');
      outcome(call, sent.result, {
        result: sent.body,
        labels: [...new Set([...noted, ...labels])],
        changes: sent.changes ?? [],
        ...(said.length > 0 && { detail: said.join(' · ') }),
      });
      return { kind: 'done', actionId, sent };
    } catch (error) {
      const detail = look.message(messageOf(error), rules);
      if (error instanceof NotSent) {
        outcome(call, 'failure', { detail }, false);
        return { kind: 'done', actionId, sent: { result: 'failure', body: null, detail } };
      }
      const written = outcome(call, 'unknown', { detail });
      if (call.open) deps.openCalls.leftUnknown(call.open, detail, written);
      await Promise.race([written, sleep(UNKNOWN_WRITTEN_MS, undefined, { ref: false })]);
      log.warn('an action ended without a known outcome', { actionId, tool: tool.ref, error });
      return { kind: 'unknown', actionId, detail };
    }
  }

  /** It is known to be in use before it is: where it can't be, nothing is sent. */
  async function activate(key: Key, actionId: string): Promise<void> {
    try {
      await deps.keying.activate(key, actionId);
    } catch (cause) {
      throw new NotSent(messageOf(cause), { cause });
    }
  }

  /** What a server asks is what the agent reads, from somebody who vouches for nothing; the answer to it is the agent's own. */
  async function noteQuestion(call: Dispatched): Promise<string[]> {
    const { action, tool, source, detectors, rules } = call;
    const shown = detectors.length > 0 ? look.message(action.arguments, rules) : undefined;
    const found = shown === undefined ? undefined : await detect(call, 'question', shown);
    if (found && (found.hold || found.body !== shown))
      throw new NotSent(`${found.hold ?? 'Detectors found what may not be shown in it.'} The client is not asked.`);
    return [
      ...(await note(call, found ? raised(source, found) : source, action.arguments)),
      ...(await note(call, { ...source, tool }, action.arguments)),
      ...(found?.labels ?? []),
    ];
  }

  function note({ action, actionId }: Decided, of: Source, body: Json) {
    return flow.note(action.caller, { ...of, actionId, body, isUnseen: !!action.gateway });
  }

  function detect({ action, source, detectors, rules }: Dispatched, direction: 'result' | 'question', body: Json) {
    const { mask, placeholder } = rules;
    const { environment } = action.caller.task;
    const { operation } = action;
    return deps.detectors.look(detectors, {
      tool: source.tool,
      environment,
      operation,
      direction,
      body,
      mask,
      placeholder,
    });
  }

  function outcome(
    { action, actionId, tool, decision, approval, yes, wanted, open, key }: Dispatched,
    result: 'success' | 'failure' | 'unknown',
    more: Partial<LedgerEntry & { detail: string; changes: string[]; labels: string[] }>,
    isSent = true,
  ): Promise<void> {
    const end = endOf({ open, wanted, actionId }, isSent ? result : 'not-sent', more.detail ?? '', clock.now());
    const body = more.result ?? null;
    const unusual = learnFrom(deps.baseline, action, tool, { decision, approval }, { result, body });
    const detail = [...unusual.words, more.detail].filter(Boolean).join(' · ');
    const entry = recordOf('outcome', action, actionId, tool, {
      decision,
      approval: yes,
      credentials: key ? [key.named] : [],
      resultClass: result,
      ...more,
      ...(detail && { detail }),
      labels: [...(more.labels ?? []), ...unusual.labels],
      changes: [...(more.changes ?? []), ...end.changes],
    });
    return ledger.appendLater(entry, end);
  }

  /** Keeps a result back until a person releases it. Where nobody will be asked it is gone, and the agent hears why. */
  async function hold(
    { agent, action, actionId, tool, decision }: Decided,
    result: { body: Json; labels: string[]; reason: string; size: Size },
  ): Promise<Outcome> {
    try {
      const approval = await releases.hold(agent, action, tool, decision, { actionId, ...result });
      return { kind: 'pending', actionId, approval };
    } catch (error) {
      const refusal = refusalIn(error);
      if (!refusal) log.error('a result could not be held, so it is discarded', { actionId, tool: tool.ref, error });
      const why = refusal?.message ?? 'It could not be kept.';
      return { kind: 'withheld', actionId, detail: `${result.reason} ${why} The result is discarded.` };
    }
  }

  /**
   * Gives out what was held, once, if a person has said so; undefined when something has moved and it is to be decided again. What is masked
   * since it was held is masked in it, too.
   */
  async function release(
    { agent, action, tool, decision, source, rules }: Omit<Decided, 'actionId'> & Pick<Dispatched, 'source' | 'rules'>,
    kept: Kept,
    guards: (approvers: readonly string[]) => Guard[],
  ): Promise<Outcome | undefined> {
    const { actionId } = kept;
    let approval: Approval;
    try {
      approval = await releases.ask(agent, action, tool, kept, decision);
    } catch (error) {
      const refusal = refusalIn(error);
      if (!refusal) throw error;
      return { kind: 'withheld', actionId, detail: `${kept.reason} ${refusal.message}` };
    }
    if (approval.state !== 'approved') return { kind: 'pending', actionId, approval };
    const body = await releases.open(kept);
    // Another call has had it just now.
    if (body === undefined) return undefined;
    const answer: Sent = { result: 'success', body };
    const { sent, read, labels, detail } = look.answer(action.operation, answer, rules);
    const noted = await flow.note(action.caller, { ...raised(source, raisedBy(kept.labels)), actionId, body: read });
    const written = await ledger.append(
      recordOf('outcome', action, actionId, tool, {
        decision,
        approval: approval.id,
        resultClass: 'success',
        labels: [...new Set([...noted, ...kept.labels, ...labels, 'released'])],
        detail: [`released: ${kept.reason}`, detail].filter(Boolean).join(' · '),
        result: sent.body,
      }),
      { guards: guards(approvals.peopleOf(approval)), consumeApproval: { id: approval.id, actionId } },
    );
    if (written.ok || written.failed === 'approval') approvals.noteConsumed(approval.id);
    if (!written.ok) return undefined;
    await releases.remove(kept);
    return { kind: 'done', actionId, sent, call: earlierCall(action, source) };
  }

  return { sendAndRecord, release };
}

const earlierCall = ({ operation, name, arguments: args }: Action, { obligations }: Source): EarlierCall => ({
  operation,
  name,
  arguments: args,
  obligations,
});

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
