import type { Approval } from '@gatehouse/protocol';
import { z } from 'zod';
import type { Approvals } from '../../approvals/index.ts';
import { operationOf } from '../../enforcement/index.ts';
import { canonicalJson, GatehouseError, type JsonObject } from '../../platform/index.ts';
import type { Gateway } from '../elsewhere/gateway.ts';
import { waitingFor } from '../mcp/replies.ts';
import { actionEntity, parsed, resourceEntity, subjectEntity } from './request.ts';
import { type Asked, askedOf } from './resource.ts';

/**
 * The access-request profile (OpenID AuthZEN Access Request and Approval Profile, draft 1) over approvals. An evaluation that needs a person
 * has asked for one already, so that a request only takes up what waits; and what was approved is one exact call, once, and only through
 * the gateway that asked (law 4). Completion is by asking again.
 */
const submission = z.object({
  subject: subjectEntity,
  action: actionEntity,
  resource: resourceEntity,
  context: z.record(z.string(), z.unknown()).optional(),
  denial: z.object({ evaluation_id: z.string().min(1).max(200) }),
});

export function createAccessRequests({ approvals, publicUrl }: { approvals: Approvals; publicUrl: string }) {
  return {
    async submit(gateway: Gateway, body: JsonObject, base: string) {
      const { denial, ...request } = parsed(submission, body);
      const asked = askedOf(gateway, request);
      const found = await approvals.list({ actionId: denial.evaluation_id, limit: 10 });
      const approval = found.find(({ state }) => state === 'pending' || state === 'approved');
      if (!approval || !isOf(gateway, approval) || !isAbout(approval, asked))
        throw new GatehouseError(
          'bad-request',
          'access-request.binding',
          'No evaluation of this id, subject, action, resource and context that this gateway was denied waits for a person. Evaluate again, and send what was evaluated with the evaluation_id of that answer.',
          { extra: { type: 'urn:openid:authzen:access-request:error:invalid_denial_binding' } },
        );
      return view(approval, base);
    },
    async status(gateway: Gateway, id: string, base: string) {
      const approval = await approvals.get(id);
      if (approval && isOf(gateway, approval)) return view(approval, base);
      throw new GatehouseError(
        'not-found',
        'access-request.unknown',
        'There is no such access request of this gateway.',
      );
    },
  };

  function view(approval: Approval, base: string) {
    const until = new Date(approval.expiresAt).toISOString();
    const { url, retryAfterSeconds } = waitingFor(publicUrl, approval);
    const status = approval.state === 'consumed' ? 'approved' : approval.state;
    return {
      task: {
        id: approval.id,
        status,
        status_endpoint: `${base}/access/v1/requests/${approval.id}`,
        expires_at: until,
        links: { review: url },
      },
      ...(status === 'pending' && { retry_after_seconds: retryAfterSeconds }),
      ...(approval.state === 'approved' && {
        result: {
          mode: 'reevaluate',
          approval: {
            id: approval.id,
            ...(approval.decidedAt !== null && { approved_at: new Date(approval.decidedAt).toISOString() }),
            approved_until: until,
          },
        },
      }),
    };
  }
}

/** What another gateway has asked for is not there. */
const isOf = (gateway: Gateway, { operation }: Approval) => operation.endsWith(operationOf({ operation: '', gateway }));

const isAbout = (approval: Approval, asked: Asked) =>
  asked.kind === 'call' &&
  approval.tool.startsWith(`${asked.server}/`) &&
  approval.tool.includes(asked.call.name) &&
  canonicalJson(approval.arguments) === canonicalJson(asked.call.arguments);
