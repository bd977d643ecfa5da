import type { EnrolBody, Enrolled } from '@gatehouse/protocol';
import type { AgentKey } from './agent-key.ts';
import { publicKeyOf } from './agent-key.ts';
import { signAwsIdentity } from './credentials/aws-identity.ts';
import type { OutsideTokenSource } from './credentials/outside-token.ts';
import { GatehouseRequestError } from './errors.ts';
import { isProtected, unreachable } from './operator.ts';
import { isBusy, retryDelayMs } from './patience.ts';
import { createProver } from './proofs.ts';
import { type AgentClock, createServerClock } from './server-clock.ts';
import { type ServerTrust, serverFetch } from './server-fetch.ts';

/** What vouches for an agent once, so that it can enrol a key of its own. */
export type EnrolmentProof =
  | { joinToken: string }
  | { token: OutsideTokenSource }
  /** The AWS identity of this machine, from these variables. */
  | { aws: Record<string, string | undefined> };

const TIMEOUT_MS = 15_000;

/**
 * Enrols a key (`POST /enrol`). The key signs a DPoP proof over what vouches (RFC 9449, `ath`), so that neither is worth anything without
 * the other. `agent` is optional: the proof names it, and another name is refused. Throws GatehouseRequestError.
 */
export async function enrolAgent(
  options: {
    url: string;
    agent?: string;
    key: AgentKey;
    proof: EnrolmentProof;
    clock?: AgentClock;
  } & ServerTrust,
): Promise<Enrolled> {
  const { agent, key, proof, clock } = options;
  const web = serverFetch(options);
  const url = options.url.replace(/\/+$/, '');
  if (!isProtected(url))
    throw new GatehouseRequestError(0, 'server.insecure', `${url} is not protected: use https, or a loopback address.`);
  const target = `${url}/enrol`;
  const serverClock = createServerClock(clock);
  const prover = await createProver(
    { privateKey: key.privateKey, publicKey: await publicKeyOf(key) },
    serverClock.nowSeconds,
  );
  const send = async () => {
    const { body, credential } = await bodyOf(proof, url, new Date(serverClock.nowSeconds() * 1000));
    const response = await web(target, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        dpop: await prover.proof(target, 'POST', credential),
      },
      body: JSON.stringify({ ...(agent !== undefined && { agent }), ...body }),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).catch((cause: unknown) => {
      throw unreachable(url, cause);
    });
    return { response, knowsMore: [serverClock.learn(response), prover.learn(target, response)].includes(true) };
  };
  let { response, knowsMore } = await send();
  // Refused before it was used: once more with the nonce, or the time, that the refusal has told.
  if (!response.ok && response.status < 500 && knowsMore) {
    await response.body?.cancel();
    ({ response } = await send());
  }
  for (let retries = 0; isBusy(response); retries++) {
    const delayMs = retryDelayMs(response, retries, Math.random());
    if (delayMs === undefined) break;
    await response.body?.cancel();
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    ({ response } = await send());
  }
  const answer = (await response.json().catch(() => ({}))) as Enrolled & { title?: string; detail?: string };
  if (response.ok && typeof answer.agent === 'string') return answer;
  throw new GatehouseRequestError(
    response.status,
    answer.title ?? 'server.not-gatehouse',
    answer.detail ?? `${url} answered ${response.status} and enrolled nothing.`,
  );
}

/** With the text that the proof's `ath` covers. */
async function bodyOf(proof: EnrolmentProof, url: string, at: Date): Promise<{ body: EnrolBody; credential: string }> {
  if ('joinToken' in proof) return { body: { join_token: proof.joinToken }, credential: proof.joinToken };
  if ('token' in proof) {
    const token = await proof.token(url);
    return { body: { token }, credential: token };
  }
  const aws = await signAwsIdentity(url, at, proof.aws);
  return { body: { aws }, credential: aws.headers.authorization ?? '' };
}
