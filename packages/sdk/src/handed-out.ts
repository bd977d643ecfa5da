import { ApprovalPending, GatehouseRefusal, GatehouseRequestError } from './errors.ts';

export interface CredentialRequest {
  provider: string;
  /** A part of what the task may have; all of it where it says nothing. */
  scope?: Record<string, unknown>;
  seconds?: number;
  /** Asked again with it, the same request gives the same credential, also where its answer was lost. */
  idempotencyKey?: string;
}

/** A credential for a client that can't go through the gate. */
export interface HandedOutCredential {
  lease: string;
  /** Its parts by name: `username`, `password`, `token` … */
  parts: Record<string, string>;
  scope: unknown;
  /** Milliseconds since the epoch. */
  expiresAt: number;
  /** For how long it may work after its end was asked for; null: until it expires. */
  maxResidualSeconds: number | null;
  actionId: string;
}

/** Throws ApprovalPending where a person has to approve it, GatehouseRefusal where it is refused, and GatehouseRequestError otherwise. */
export async function askForCredential(
  { url, fetch: send }: { url: string; fetch: typeof fetch },
  { idempotencyKey, ...request }: CredentialRequest,
): Promise<HandedOutCredential> {
  const response = await send(`${url}/task/credentials`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
    },
    body: JSON.stringify(request),
  });
  const body = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  const { title = 'server.answer', detail = `HTTP ${response.status}`, action_id: actionId } = body;
  if (response.status === 202) {
    const { id, url: page } = body.approval as { id: string; url: string };
    throw new ApprovalPending(id, page, Number(body.retry_after_seconds), String(detail));
  }
  if (response.status === 403)
    throw new GatehouseRefusal(String(title), String(detail), String(actionId ?? '') || null);
  if (!response.ok) throw new GatehouseRequestError(response.status, String(title), String(detail));
  return {
    lease: String(body.lease),
    parts: body.credential as Record<string, string>,
    scope: body.scope,
    expiresAt: Date.parse(String(body.expires_at)),
    maxResidualSeconds: body.max_residual_seconds as number | null,
    actionId: String(actionId),
  };
}
