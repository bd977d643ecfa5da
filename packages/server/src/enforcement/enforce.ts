import type { Approval, Decision, DetectorManifest } from '@gatehouse/protocol';
import type { Approvals } from '../approvals/index.ts';
import type { Ledger, LedgerEntry } from '../ledger/index.ts';
import { type Clock, GatehouseError, type Json, type Log, newId } from '../platform/index.ts';
import type { Authority, Baseline, Flow, PolicySet, SeenView, Situation } from '../policy/index.ts';
import type { Agent, RegisteredTool, Registry, Snapshot } from '../registry/index.ts';
import type { ChangeFeed, Guard, OverBudget, Spend } from '../storage/index.ts';
import { checkArguments } from './arguments.ts';
import type { CircuitBreaker } from './breaker.ts';
import { type Budgets, beyond, counted, settleOf, spendOf, type Wanted, wantedOf } from './budgets/index.ts';
import { explainFlow, originsOf } from './explain-flow.ts';
import { gatewayIsRefused, operationOf, whatCannotBeKept } from './gateway.ts';
import { learnFrom } from './learn.ts';
import { createLive } from './live.ts';
import { recordOf } from './record.ts';
import { createReleases, refusalIn } from './release.ts';
import {
  type CleanRules,
  createAhead,
  createLook,
  type HeldResults,
  type Kept,
  limitRemark,
  mayBeHeld,
  type OutsideDetectors,
  type Size,
  sizeOf,
  whyHeld,
  whyNotAsked,
  withFound,
  withLimit,
  withoutExcess,
} from './results/index.ts';
import { situationOf, withSituation } from './situation.ts';
import { labelsOfRaised, raised, raisedBy, type Source, sourceOf, sourceOfMessage, unlooked } from './source.ts';
import { delegatedOf, findSubject, isRefusal, toolNameOf } from './subject.ts';
import type { Tickets } from './tickets.ts';
import {
  type Action,
  type Dispatch,
  type Enforcement,
  type Foresight,
  NotSent,
  type Outcome,
  type Sent,
} from './types.ts';
import { authorityOf, type Reason, STALE, whoIsRefused, whyStopped } from './who.ts';

export interface EnforcementDependencies {
  registry: Registry;
  /** The set compiled from exactly this snapshot: a dispatch is fenced on the version that its decision was made with. */
  policies(snapshot: Snapshot): PolicySet;
  approvals: Approvals;
  budgets: Pick<Budgets, 'over'>;
  ledger: Ledger;
  tickets: Tickets;
  flow: Flow;
  baseline: Baseline;
  breaker: CircuitBreaker;
  feed: Pick<ChangeFeed, 'fresh'>;
  held: HeldResults;
  detectors: OutsideDetectors;
  /** 32 bytes, the same on every replica and after a restart: placeholders of masked values are made with it. */
  placeholderKey: Uint8Array;
  clock: Clock;
  log: Log;
}

/** A decision that the database no longer agrees with is taken again, but not for ever. */
const MAX_ATTEMPTS = 3;

/**
 * The choke point: nothing reaches a tool in any other way. The steps are those of ARCHITECTURE.md; step 6 (key) stands between
 * 5 and 7 once a tool needs a credential of its own.
 */
export function createEnforcement(deps: EnforcementDependencies): Enforcement & Foresight {
  const { registry, approvals, ledger, flow, feed, clock, log } = deps;
  const live = createLive();
  const look = createLook({ key: deps.placeholderKey });
  const releases = createReleases({ held: deps.held, approvals });
  const asking = new Map<string, Promise<Approval | Refused>>();

  async function enforce(given: Action, send: (dispatch: Dispatch) => Promise<Sent>): Promise<Outcome> {
    let action = given;
    let actionId = given.actionId ?? newId('act', clock.now());
    let over: OverBudget | undefined;
    for (let attempt = 1; ; attempt++) {
      const snapshot = registry.snapshot();
      const set = deps.policies(snapshot);

      // 1 who
      const agent = snapshot.agents.get(action.caller.agent);
      const unproven = feed.fresh()
        ? (whoIsRefused(snapshot, action, agent, clock.now(), deps.breaker) ?? gatewayIsRefused(action))
        : STALE;
      const authority = authorityOf(snapshot, action.caller);
      if (!agent || !authority || unproven) return refuse(action, actionId, null, deny(unproven ?? STALE, set.version));

      // 2 what
      const found = findSubject(snapshot, action);
      if (isRefusal(found)) return refuse(action, actionId, found.tool, deny(found, set.version));

      // What a tool can be asked to limit is asked for before anything is decided: so it is what is approved, recorded and sent.
      action = withLimit(action, found, found.labels.hold?.items);

      // 3 may it
      for (let loading = flow.ready(action.caller); loading; loading = flow.ready(action.caller)) await loading;
      const seen = flow.view(action.caller, {
        tool: found,
        arguments: action.arguments,
        template: snapshot.templates.get(action.caller.task.template),
      });
      const situation = await situationOf(deps, snapshot, action, found, seen, clock.now());
      let decision = explainFlow(decide(set, authority, action, found, situation), seen);
      if (decision.effect === 'deny') return refuse(action, actionId, found, decision);
      const limited = withLimit(action, found, decision.obligations?.limit);
      if (limited !== action) {
        action = limited;
        attempt--;
        continue;
      }

      const traced = sourceOf({ snapshot, set, authority, action, found, decision }, (...of) =>
        redecide(snapshot, set, authority, ...of),
      );
      const source = traced instanceof Promise ? await traced : traced;
      if ('refused' in source) return refuse(action, actionId, found, deny(source.refused, set.version, found));
      const tooMuch = serverAsks.has(action.operation) ? whyNotAsked(source.tool, action.arguments) : undefined;
      if (tooMuch) return refuse(action, actionId, found, deny(tooMuch, set.version, found));
      const rules = look.rulesOf(snapshot, action.caller, source.tool, source.obligations);

      // What this call has left, if it has run before and a person has to release it: it does not run again.
      const detectors = deps.detectors.of(snapshot, source.tool, action.caller.task.environment);
      const isHeldAtTimes = detectors.length > 0 || mayBeHeld(source.tool, source.obligations?.limit);
      const kept = isHeldAtTimes ? await releases.find(action) : undefined;
      if (kept) {
        const guards = guardsOf(snapshot, action, found, source.tool);
        const outcome = await release({ agent, action, tool: found, decision, source, rules }, kept, guards);
        if (outcome) return outcome;
        if (attempt === MAX_ATTEMPTS) return refuse(action, actionId, found, deny(STALE, decision.policyVersion));
        await feedCaughtUp();
        continue;
      }
      const wanted = wantedOf(snapshot, action, found, actionId, clock.now());
      if (wanted && 'code' in wanted) return refuse(action, actionId, found, deny(wanted, set.version, found));
      if (wanted && decision.effect === 'needs-approval') over ??= await deps.budgets.over(wanted.spend);
      if (wanted) decision = over ? beyond(decision, wanted, over) : counted(decision, wanted);
      if (decision.effect === 'deny') return refuse(action, actionId, found, decision);

      // 4 record and 5 ask: what nobody has to approve is recorded once, with its dispatch
      let approval: Approval | undefined;
      if (decision.effect === 'needs-approval') {
        const asked = await ask(agent, action, actionId, found, decision, seen);
        if ('refused' in asked) return { kind: 'refused', actionId: asked.actionId, decision: asked.refused };
        approval = asked;
        actionId = approval.actionId;
        if (approval.state !== 'approved') return { kind: 'pending', actionId, approval };
      }

      // 7 dispatch
      await flow.storing(action.caller, { tool: found, actionId, seen });
      let guardFailed: string | undefined;
      const flight = live.begin(action.caller);
      try {
        const written = await ledger.append(
          entry('dispatch', action, actionId, found, {
            decision,
            approval: approval?.id ?? null,
            arguments: action.arguments,
            labels: seen.labels,
          }),
          {
            guards: [...guardsOf(snapshot, action, found, source.tool), ...seen.guards],
            ...(approval && { consumeApproval: { id: approval.id, actionId } }),
            ...spending(wanted ? spendOf(wanted, actionId, approval !== undefined) : undefined, seen, action, actionId),
          },
        );
        if (approval && (written.ok || written.failed === 'approval')) approvals.noteConsumed(approval.id);
        if (written.ok) {
          deps.breaker.dispatched(snapshot, action.caller.task);
          deps.baseline.dispatched(action.caller.agent, found.ref);
          const remarks = action === given ? [] : [limitRemark(action, found)];
          return await sendAndRecord(
            action,
            actionId,
            found,
            decision,
            approval,
            wanted,
            { agent, source, detectors, rules, remarks },
            flight.signal,
            send,
          );
        }
        over = written.failed === 'budget' && !flow.exhaust(written.over, seen) ? written.over : undefined;
        if (written.failed === 'guard') guardFailed = written.key;
      } finally {
        flight.end();
      }
      if (wanted && over) {
        const refusedNow = beyond(decision, wanted, over);
        if (refusedNow.effect === 'deny') return refuse(action, actionId, found, refusedNow);
      }
      if (attempt === MAX_ATTEMPTS) return refuse(action, actionId, found, deny(STALE, decision.policyVersion));
      // What the task has seen is read again; what an operator has changed comes with the feed.
      if (!(guardFailed !== undefined && flow.moved(guardFailed))) await feedCaughtUp();
    }
  }

  function decide(
    set: PolicySet,
    authority: Authority,
    action: Action,
    tool: RegisteredTool,
    situation: Situation,
  ): Decision {
    const problem = checkArguments(tool, action.arguments);
    if (problem) {
      const reason = `The arguments do not fit ${tool.ref}: ${problem}. Correct them and call again.`;
      return deny({ code: 'arguments.invalid', reason }, set.version, tool);
    }
    const decision = set.decide({ ...authority, tool, arguments: action.arguments, situation });
    const unkept = whatCannotBeKept(action, tool, decision);
    return unkept ? deny(unkept, set.version, tool) : withSituation(decision, situation);
  }

  async function ask(
    agent: Agent,
    action: Action,
    actionId: string,
    tool: RegisteredTool,
    decision: Decision,
    seen: SeenView,
  ): Promise<Approval | Refused> {
    const { task } = action.caller;
    const subject = {
      agent: agent.name,
      agentEpoch: agent.epoch,
      task: task.id,
      operation: operationOf(action),
      tool: toolNameOf(action, tool),
      toolDefinition: tool.digest ?? '',
      arguments: action.arguments,
      policyVersion: decision.policyVersion,
      delegated: delegatedOf(action.caller),
    };
    const digest = approvals.digest(subject);
    const known = approvals.find(digest);
    if (known) return known;
    // The same action twice at once is one question, and one record of it.
    const current = asking.get(digest);
    if (current) return current;
    const question = open();
    asking.set(digest, question);
    try {
      return await question;
    } finally {
      asking.delete(digest);
    }

    async function open(): Promise<Approval | Refused> {
      const { labels } = seen;
      await append(entry('request', action, actionId, tool, { decision, arguments: action.arguments, labels }));
      try {
        return await approvals.open({
          subject,
          actionId,
          owner: agent.manifest.owner,
          intent: task.intent,
          template: task.template,
          environment: task.environment,
          requestedBy: task.requestedBy,
          onBehalfOf: task.onBehalfOf,
          decision,
          origins: originsOf(seen),
        });
      } catch (error) {
        if (!(error instanceof GatehouseError) || error.status >= 500) throw error;
        // Nobody will be asked, so that the action does not wait: it is refused, and the record says so.
        const refused = deny({ code: error.code, reason: error.message }, decision.policyVersion, tool);
        await refuse(action, actionId, tool, refused);
        return { refused, actionId };
      }
    }
  }

  async function sendAndRecord(
    action: Action,
    actionId: string,
    tool: RegisteredTool,
    decision: Decision,
    approval: Approval | undefined,
    wanted: Wanted | null,
    { agent, source, detectors, rules, remarks }: Looking,
    signal: AbortSignal,
    send: (dispatch: Dispatch) => Promise<Sent>,
  ): Promise<Outcome> {
    const outcome = (
      result: 'success' | 'failure' | 'unknown',
      more: Partial<LedgerEntry & { detail: string; changes: string[]; labels: string[] }>,
      isSent = true,
    ) => {
      const settled = wanted && settleOf(wanted, actionId, clock.now(), isSent ? result : 'not-sent');
      const unusual = learnFrom(
        deps.baseline,
        action,
        tool,
        { decision, approval },
        { result, body: more.result ?? null },
      );
      const detail = [...unusual.words, more.detail].filter(Boolean).join(' · ');
      ledger.appendLater(
        entry('outcome', action, actionId, tool, {
          decision,
          approval: approval?.id ?? null,
          resultClass: result,
          ...more,
          ...(detail && { detail }),
          labels: [...(more.labels ?? []), ...unusual.labels],
          changes: [...(more.changes ?? []), ...(settled?.changes ?? [])],
        }),
        settled?.settle,
      );
    };
    try {
      if (signal.aborted) throw new NotSent(messageOf(signal.reason));
      const clean = <T extends Json>(message: T) => look.message(message, rules);
      const noteAs = (of: Source, body: Json) =>
        flow.note(action.caller, { ...of, actionId, body, isUnseen: !!action.gateway });
      const ahead = createAhead(source.tool);
      const heard = (message: Json) => {
        ahead.count(message);
        const labels = noteAs(unlooked(source, detectors), message);
        return labels instanceof Promise ? labels.then(() => undefined) : undefined;
      };
      const detect = (direction: 'result' | 'question', body: Json) =>
        deps.detectors.look(detectors, {
          ...{
            tool: source.tool,
            environment: action.caller.task.environment,
            operation: action.operation,
            direction,
            body,
          },
          ...{ mask: rules.mask, placeholder: rules.placeholder },
        });
      // What a server asks of the client is what the agent reads, from somebody who vouches for nothing; the answer to it is the agent's own.
      const isAsked = serverAsks.has(action.operation);
      const shown = isAsked && detectors.length > 0 ? clean(action.arguments) : undefined;
      const question = shown === undefined ? undefined : await detect('question', shown);
      if (question && (question.hold || question.body !== shown))
        throw new NotSent(
          `${question.hold ?? 'Detectors found what may not be shown in it.'} The client is not asked.`,
        );
      const asked = isAsked
        ? [
            ...(await noteAs(question ? raised(source, question) : source, action.arguments)),
            ...(await noteAs({ ...source, tool }, action.arguments)),
            ...(question?.labels ?? []),
          ]
        : [];
      const { operation, name } = action;
      const dispatch: Dispatch = {
        actionId,
        tool,
        arguments: action.arguments,
        approval: approval?.id ?? null,
        call: { operation, name, arguments: action.arguments, obligations: source.obligations },
        signal,
        clean,
        heard,
      };
      const limit = source.obligations?.limit;
      const answer = withoutExcess(source.tool, limit, await untilAborted(send(dispatch), signal));
      // 8 look: what the task has seen is durable before the agent sees it (law 9)
      const looked = look.answer(action.operation, answer, rules, remarks);
      const isLookedAt = detectors.length > 0 && !isAsked && !action.gateway;
      const found = isLookedAt ? await untilAborted(detect('result', looked.read), signal) : undefined;
      const { sent, read, detail } = found ? withFound(looked, found) : looked;
      const labels = [...looked.labels, ...(found?.labels ?? [])];
      const over = isAsked ? null : whyHeld(source.tool, limit, read);
      const reason = over?.reason ?? found?.hold;
      if (reason) {
        outcome(sent.result, {
          result: sent.body,
          labels: [...labels, 'held'],
          changes: sent.changes ?? [],
          detail: [`held: ${reason}`, detail].filter(Boolean).join(' · '),
        });
        const size = over?.size ?? sizeOf(read);
        const kept = { body: sent.body, labels: [...labels, ...(found ? labelsOfRaised(found) : [])], reason, size };
        return await hold({ agent, action, actionId, tool, decision }, kept);
      }
      const noted = isAsked ? asked : await noteAs(found ? raised(source, found) : source, read);
      // 9 outcome
      const said = [sent.detail, detail].filter((each) => typeof each === 'string');
      outcome(sent.result, {
        result: sent.body,
        labels: [...new Set([...noted, ...labels])],
        changes: sent.changes ?? [],
        ...(said.length > 0 && { detail: said.join(' · ') }),
      });
      return { kind: 'done', actionId, sent };
    } catch (error) {
      const detail = look.message(messageOf(error), rules);
      if (error instanceof NotSent) {
        outcome('failure', { detail }, false);
        return { kind: 'done', actionId, sent: { result: 'failure', body: null, detail } };
      }
      outcome('unknown', { detail });
      log.warn('an action ended without a known outcome', { actionId, tool: tool.ref, error });
      return { kind: 'unknown', actionId, detail };
    }
  }

  /** Keeps a result back until a person releases it. Where nobody will be asked it is gone, and the agent hears why. */
  async function hold(
    { agent, action, actionId, tool, decision }: Held,
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
    { agent, action, tool, decision, source, rules }: Omit<Held, 'actionId'> & { source: Source; rules: CleanRules },
    kept: Kept,
    guards: Guard[],
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
      entry('outcome', action, actionId, tool, {
        decision,
        approval: approval.id,
        resultClass: 'success',
        labels: [...new Set([...noted, ...kept.labels, ...labels, 'released'])],
        detail: [`released: ${kept.reason}`, detail].filter(Boolean).join(' · '),
        result: sent.body,
      }),
      { guards, consumeApproval: { id: approval.id, actionId } },
    );
    if (written.ok || written.failed === 'approval') approvals.noteConsumed(approval.id);
    if (!written.ok) return undefined;
    await releases.remove(kept);
    return { kind: 'done', actionId, sent };
  }

  async function refuse(
    action: Action,
    actionId: string,
    tool: RegisteredTool | null,
    decision: Decision,
  ): Promise<Outcome> {
    await append(entry('request', action, actionId, tool, { decision, arguments: action.arguments }));
    deps.breaker.refused(registry.snapshot(), action.caller.task, decision, tool);
    return { kind: 'refused', actionId, decision };
  }

  /** A refusal that can't be recorded is still a refusal; the caller hears that the house is not available. */
  async function append(what: LedgerEntry): Promise<void> {
    const written = await ledger.append(what);
    if (!written.ok)
      throw new GatehouseError(
        'unavailable',
        'ledger.refused',
        'The action could not be recorded, so it is refused. Try again.',
      );
  }

  function entry(
    kind: 'request' | 'dispatch' | 'outcome',
    action: Action,
    actionId: string,
    tool: RegisteredTool | null,
    more: Parameters<typeof recordOf>[4],
  ): LedgerEntry {
    return recordOf(kind, action, actionId, tool, more);
  }

  /** What the dispatch counts: on budgets, and on what a person has endorsed. */
  function spending(budgets: Spend | undefined, seen: SeenView, { caller }: Action, actionId: string) {
    const endorsed = flow.spend(caller, seen);
    if (endorsed.length === 0) return budgets && { spend: budgets };
    const plain = budgets ?? { actionId, now: clock.now(), counters: [] };
    return { spend: { ...plain, counters: [...plain.counters, ...endorsed] } };
  }

  /** The guard failed because a change is on its way to this replica: give the feed a turn before deciding again. */
  function feedCaughtUp(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** What would be decided now on a call that was let through before. */
  async function redecide(
    snapshot: Snapshot,
    set: PolicySet,
    authority: Authority,
    action: Action,
    tool: RegisteredTool,
  ): Promise<Decision> {
    const template = snapshot.templates.get(action.caller.task.template);
    const seen = flow.view(action.caller, { tool, arguments: action.arguments, template });
    const situation = await situationOf(deps, snapshot, action, tool, seen, clock.now());
    return decide(set, authority, action, tool, situation);
  }

  async function foresee(action: Action): Promise<Decision> {
    const snapshot = registry.snapshot();
    const set = deps.policies(snapshot);
    const agent = snapshot.agents.get(action.caller.agent);
    const authority = authorityOf(snapshot, action.caller);
    const unproven = feed.fresh()
      ? (whoIsRefused(snapshot, action, agent, clock.now(), deps.breaker) ?? gatewayIsRefused(action))
      : STALE;
    if (!authority || unproven) return deny(unproven ?? STALE, set.version);
    const found = findSubject(snapshot, action);
    if (isRefusal(found)) return deny(found, set.version);
    for (let loading = flow.ready(action.caller); loading; loading = flow.ready(action.caller)) await loading;
    const decision = await redecide(snapshot, set, authority, action, found);
    const wanted = decision.effect === 'deny' ? null : wantedOf(snapshot, action, found, '', clock.now());
    if (!wanted) return decision;
    if ('code' in wanted) return deny(wanted, set.version, found);
    const over = await deps.budgets.over(wanted.spend);
    return over ? beyond(decision, wanted, over) : counted(decision, wanted);
  }

  return {
    enforce,
    foresee,
    async usableTools(caller, onlyServer) {
      const snapshot = registry.snapshot();
      const authority = authorityOf(snapshot, caller);
      if (authority?.agent.state !== 'active') return [];
      const set = deps.policies(snapshot);
      const usable: RegisteredTool[] = [];
      for (const server of snapshot.servers.values()) {
        if (onlyServer !== undefined && server.name !== onlyServer) continue;
        if (!server.manifest.environments.includes(caller.task.environment)) continue;
        for (const tool of server.tools.values()) {
          if (tool.state === 'approved' && tool.tier < 4 && set.mayEverUse(authority, tool)) usable.push(tool);
        }
      }
      return usable.sort((a, b) => (a.ref < b.ref ? -1 : 1));
    },
    attach(caller, end) {
      let attached = true;
      const release = live.attach(caller, end);
      const endIfStopped = (reason: string | undefined) => {
        if (attached && reason !== undefined) end(reason);
      };
      // Whoever was let in with a snapshot from before the stop comes too late to be ended by it.
      whyStopped(registry, caller).then(endIfStopped, (error) => {
        log.error('it is not known whether a stream may stay open, so it ends', { error });
        endIfStopped(STALE.reason);
      });
      return () => {
        attached = false;
        release();
      };
    },
    hear(caller, server, message, of) {
      const snapshot = registry.snapshot();
      const known = snapshot.servers.get(server);
      const authority = authorityOf(snapshot, caller);
      if (!known || !authority) throw new GatehouseError('forbidden', STALE.code, STALE.reason);
      const from = sourceOfMessage(snapshot, deps.policies(snapshot), authority, known, of);
      const source = unlooked(from, deps.detectors.of(snapshot, from.tool, caller.task.environment));
      const rules = look.rulesOf(snapshot, caller, source.tool, source.obligations);
      const heard = look.message(message, rules);
      const noted = flow.note(caller, { ...source, actionId: newId('act', clock.now()), body: heard });
      return noted instanceof Promise ? noted.then(() => heard) : heard;
    },
    stop: live.stop,
    inFlight: live.count,
  };
}

/** How what an action brings is looked at. */
interface Looking {
  agent: Agent;
  source: Source;
  detectors: readonly DetectorManifest[];
  rules: CleanRules;
  remarks: string[];
}

/** The action whose result is kept back. */
interface Held {
  agent: Agent;
  action: Action;
  actionId: string;
  tool: RegisteredTool;
  decision: Decision;
}

/** An action that nobody will be asked about, with the decision that says why. */
interface Refused {
  refused: Decision;
  actionId: string;
}

function deny({ code, reason }: Reason, policyVersion: string, tool: RegisteredTool | null = null): Decision {
  return { effect: 'deny', tier: tool?.tier ?? 4, code, reason, policies: [], policyVersion };
}

/** What the dispatch must still find in the database as it was decided on (law 1). A fence that was never raised is 0. */
function guardsOf(
  snapshot: Snapshot,
  { caller, gateway }: Action,
  tool: RegisteredTool,
  source: RegisteredTool,
): Guard[] {
  const { task, chain } = caller;
  const keys = [
    `agent:${caller.agent}`,
    ...chain.map(({ agent }) => `agent:${agent}`),
    ...(task.user === null ? [] : [`person:${task.user}`]),
    `server:${tool.server}`,
    ...new Set([`tool:${tool.ref}`, `tool:${source.ref}`]),
    'policy',
  ];
  const guards = [...keys.map((key) => ({ key, version: snapshot.fences.get(key) ?? 0 })), ...(gateway?.guards ?? [])];
  const tasks = [task, ...chain.map((link) => link.task)];
  return [
    ...guards,
    ...tasks.map(({ id, fence = 0 }) => ({ key: `task:${id}`, version: fence })),
    { key: `token:${caller.tokenId}`, version: 0 },
  ];
}

/** What a server asks of the agent's client. */
const serverAsks: ReadonlySet<string> = new Set([
  'sampling/createMessage',
  'elicitation/create',
  'elicitation/create:url',
]);

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** A door that does not heed the signal must not keep a killed agent's call open. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort);
  }
}
