import { GatehouseRequestError } from './errors.ts';
import { unreachable } from './operator.ts';
import type { Prover } from './proofs.ts';

const TIMEOUT_MS = 10_000;

/** Asks the server (`GET /task`) whether this token would be let in now. Throws GatehouseRequestError when it does not say. */
export async function isConfirmed(
  url: string,
  token: string,
  { prover, fetch }: { prover: Prover | null; fetch: typeof globalThis.fetch },
): Promise<boolean> {
  const target = `${url}/task`;
  const ask = async (): Promise<Response> => {
    const headers: Record<string, string> = prover
      ? { authorization: `DPoP ${token}`, dpop: await prover.proof(target, 'GET', token) }
      : { authorization: `Bearer ${token}` };
    const init = { headers, redirect: 'error' as const, signal: AbortSignal.timeout(TIMEOUT_MS) };
    const response = await fetch(target, init).catch((cause: unknown) => {
      throw unreachable(url, cause);
    });
    await response.body?.cancel();
    return response;
  };
  let response = await ask();
  if (response.status === 401 && prover?.learn(target, response)) response = await ask();
  if (response.ok) return true;
  if (response.status === 401) return false;
  throw new GatehouseRequestError(
    response.status,
    'token.not-confirmed',
    `${url} does not say whether the token still counts (HTTP ${response.status}).`,
  );
}
