import type { Approval, Decision } from '@gatehouse/protocol';
import type { Enforcement } from '../../enforcement/index.ts';
import type { Caller } from '../../identity/index.ts';
import { type Clock, GatehouseError, isJsonObject, type JsonObject } from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import { askAbout, type Gateway, type Verdict } from '../elsewhere/gateway.ts';
import { whyNotShown } from '../elsewhere/mcp-call.ts';
import { waitingFor } from '../mcp/replies.ts';
import { authzenLimits } from './limits.ts';
import {
  type DecisionAnswer,
  type EvaluationRequest,
  evaluationRequest,
  evaluationsRequest,
  parsed,
} from './request.ts';
import { askedOf } from './resource.ts';
import type { Subjects } from './subject.ts';

interface Dependencies {
  enforcement: Pick<Enforcement, 'enforce'>;
  registry: Pick<Registry, 'snapshot'>;
  subjects: Subjects;
  clock: Clock;
  publicUrl: string;
}

/** Where this request was sent: endpoints in its answer are there, too. */
type Base = string;

/** Access Evaluation (AuthZEN section 6) and Access Evaluations (section 7). A denial is an answer, and never an HTTP error. */
export function createEvaluate({ enforcement, registry, subjects, clock, publicUrl }: Dependencies) {
  async function one(
    gateway: Gateway,
    request: EvaluationRequest,
    { callerOf }: Pick<Subjects, 'callerOf'>,
    base: Base,
  ): Promise<DecisionAnswer> {
    const asked = askedOf(gateway, request);
    let caller: Caller;
    try {
      caller = await callerOf(gateway, request.subject, asked.server);
    } catch (error) {
      return refusedAs(error);
    }
    if (asked.kind === 'refused') return denied(asked);
    if (asked.kind === 'server') {
      const why = whyNotShown(registry.snapshot(), gateway, caller, asked.server, asked.shows);
      return why ? denied(why) : { decision: true, context: { evaluated_at: now() } };
    }
    return answerOf(await askAbout(enforcement, gateway, caller, asked.call), request, base);
  }

  function answerOf(verdict: Verdict, request: EvaluationRequest, base: Base): DecisionAnswer {
    switch (verdict.kind) {
      case 'allowed':
        return { decision: true, context: { evaluation_id: verdict.actionId, evaluated_at: now() } };
      case 'refused':
        return denied({ ...verdict.decision, ...reevaluation(request) }, verdict.actionId);
      case 'waiting':
        return waiting(verdict.approval, base);
    }
  }

  function waiting(approval: Approval, base: Base): DecisionAnswer {
    const { decision, actionId, expiresAt } = approval;
    const { id, url, state, retryAfterSeconds } = waitingFor(publicUrl, approval);
    const { context } = denied({ ...decision, code: 'approval_required' }, actionId);
    return {
      decision: false,
      context: {
        ...context,
        access_request: {
          endpoint: `${base}/access/v1/requests`,
          expires_at: new Date(expiresAt).toISOString(),
          form_url: url,
          display: {
            title: 'A person has to approve this call',
            description: `${decision.reason} It can be approved, exactly as it is, at ${url}. Then ask again.`,
          },
        },
        // The profile knows neither; both are there without a second request.
        approval: { id, state, retry_after_seconds: retryAfterSeconds },
      },
    };
  }

  function denied(why: Why, actionId?: string): DecisionAnswer {
    const { code, reason, policies = [], tier, ...more } = why;
    return {
      decision: false,
      context: {
        ...(actionId !== undefined && { evaluation_id: actionId }),
        evaluated_at: now(),
        reason: code,
        reason_user: { '403': reason },
        reason_admin: { '403': `${code}${policies.length > 0 ? `, by ${policies.join(', ')}` : ''}` },
        ...(tier !== undefined && { tier }),
        ...more,
      },
    };
  }

  const now = () => new Date(clock.now()).toISOString();

  /** Who could not be told apart is refused; a house that cannot answer says so. */
  function refusedAs(error: unknown): DecisionAnswer {
    if (!(error instanceof GatehouseError) || error.status >= 500) throw error;
    const { dpopNonce } = error.extra;
    const nonce = typeof dpopNonce === 'string' ? { dpop_nonce: dpopNonce } : {};
    return denied({ code: error.code, reason: error.message, ...nonce });
  }

  async function several(gateway: Gateway, body: JsonObject, base: Base) {
    const { evaluations, options } = parsed(evaluationsRequest, body);
    if (!evaluations || evaluations.length === 0) return single(gateway, body, base);
    if (evaluations.length > authzenLimits.evaluations)
      throw new GatehouseError(
        'too-large',
        'evaluations.too-many',
        `One request has at most ${authzenLimits.evaluations} evaluations. Send the rest in another.`,
      );
    const { subject, action, resource, context } = body;
    const defaults = { subject, action, resource, context };
    const known = subjects.perRequest();
    const answers: DecisionAnswer[] = [];
    // One after the other: the order is what the semantics are about, and what a task has seen counts for what comes next.
    for (const item of evaluations) {
      const answer = await oneOfSeveral(gateway, { ...defaults, ...item }, known, base);
      answers.push(answer);
      if (options.evaluations_semantic === (answer.decision ? 'permit_on_first_permit' : 'deny_on_first_deny')) break;
    }
    return { evaluations: answers };
  }

  /** What is wrong with one evaluation of several denies that one. */
  async function oneOfSeveral(
    gateway: Gateway,
    item: unknown,
    known: Pick<Subjects, 'callerOf'>,
    base: Base,
  ): Promise<DecisionAnswer> {
    const result = evaluationRequest.safeParse(item);
    if (result.success) return one(gateway, result.data, known, base);
    const [issue] = result.error.issues;
    const message = `${issue?.path.join('.') || 'the evaluation'}: ${issue?.message}`;
    const { context } = denied({ code: 'body.invalid', reason: message });
    return { decision: false, context: { ...context, error: { status: 400, message } } };
  }

  const single = (gateway: Gateway, body: JsonObject, base: Base) =>
    one(gateway, parsed(evaluationRequest, body), subjects, base);

  return { single, several };
}

type Why = { code: string; reason: string; policies?: Decision['policies']; tier?: number } & Record<string, unknown>;

/** An approval that was referred to, and did not help (access-request profile, completion semantics). */
function reevaluation({ context }: EvaluationRequest): { next_action?: 'none' } {
  return isJsonObject(context?.approval) ? { next_action: 'none' } : {};
}
