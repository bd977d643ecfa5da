import { setTimeout as sleep } from 'node:timers/promises';
import { COMMAND_LINE_CLIENT } from '@gatehouse/protocol';
import { type AgentKey, publicKeyOf } from './agent-key.ts';
import { GatehouseRequestError } from './errors.ts';
import { isProtected, unreachable } from './operator.ts';
import { createProver } from './proofs.ts';
import { createServerClock } from './server-clock.ts';
import { type ServerTrust, serverFetch } from './server-fetch.ts';

/** A sign-in that waits for its person, who answers in a browser (RFC 8628). */
export interface SignInUnderWay {
  userCode: string;
  /** The page on which the code is typed, and the same with it filled in. */
  page: string;
  pageWithCode: string;
  expiresInSeconds: number;
  /** Resolves when the person has said yes; throws GatehouseRequestError (`access_denied`, `expired_token`). */
  finish(signal?: AbortSignal): Promise<{ token: string; session: string; expiresInSeconds: number }>;
}

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const TIMEOUT_MS = 15_000;

/**
 * Begins to sign a person in at this server: what comes of it is a session of theirs, bound to `key`. The address must be the one that
 * the server calls itself by: what is signed for one server must not be carried on to another. `name` is shown to the person, and stands
 * with the session (see `commandLineAgent`).
 */
export async function beginSignIn(
  options: { url: string; key: AgentKey; name: string } & ServerTrust,
): Promise<SignInUnderWay> {
  const { key, name } = options;
  const url = options.url.replace(/\/+$/, '');
  if (!isProtected(url))
    throw new GatehouseRequestError(0, 'server.insecure', `${url} is not protected: use https, or a loopback address.`);
  const web = serverFetch(options);
  const clock = createServerClock();
  const prover = await createProver(
    { privateKey: key.privateKey, publicKey: await publicKeyOf(key) },
    clock.nowSeconds,
  );
  const ask = async (target: string, form?: Record<string, string>, headers: Record<string, string> = {}) => {
    const response = await web(target, {
      redirect: 'error',
      headers: { accept: 'application/json', 'user-agent': name, ...headers },
      ...(form && { method: 'POST', body: new URLSearchParams(form) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).catch((cause: unknown) => {
      if (cause instanceof GatehouseRequestError) throw cause;
      throw unreachable(url, cause);
    });
    const body = (await response.json().catch(() => undefined)) as Record<string, unknown> | undefined;
    const knowsMore = [clock.learn(response), prover.learn(target, response)].includes(true);
    return { status: response.status, body: body ?? {}, knowsMore };
  };

  const metadata = await ask(`${url}/.well-known/oauth-authorization-server`);
  const { issuer, device_authorization_endpoint: deviceEndpoint, token_endpoint: tokenEndpoint } = metadata.body;
  if (metadata.status !== 200 || typeof issuer !== 'string')
    throw new GatehouseRequestError(
      metadata.status,
      'server.not-gatehouse',
      `What answers at ${url} is no Gatehouse server. Correct the address.`,
    );
  if (issuer !== url || !isBelow(deviceEndpoint, url) || !isBelow(tokenEndpoint, url))
    throw new GatehouseRequestError(
      0,
      'server.other-address',
      `The server at ${url} calls itself ${issuer}. Use that address: --url ${issuer}`,
    );
  const begun = await ask(deviceEndpoint, { client_id: COMMAND_LINE_CLIENT, dpop_jkt: key.thumbprint });
  if (begun.status !== 200) throw refusal(begun);
  const { device_code, user_code, verification_uri, verification_uri_complete, expires_in, interval } = begun.body;
  if (!isBelow(verification_uri, url) || !isBelow(verification_uri_complete, url))
    throw new GatehouseRequestError(0, 'invalid_response', `${url} names a page that is not its own.`);

  async function poll() {
    const form = { grant_type: DEVICE_GRANT, client_id: COMMAND_LINE_CLIENT, device_code: String(device_code) };
    const once = async () =>
      ask(tokenEndpoint as string, form, { dpop: await prover.proof(tokenEndpoint as string, 'POST') });
    const first = await once();
    // Refused before the code was used, for want of a nonce or the right time.
    const isProofRefused = first.body.error === 'use_dpop_nonce' || first.body.error === 'invalid_dpop_proof';
    return isProofRefused && first.knowsMore ? once() : first;
  }

  return {
    userCode: String(user_code),
    page: verification_uri,
    pageWithCode: verification_uri_complete,
    expiresInSeconds: Number(expires_in),
    async finish(signal) {
      const until = Date.now() + Number(expires_in) * 1_000;
      for (let seconds = Number(interval ?? 5); ; ) {
        await sleep(seconds * 1_000, undefined, signal ? { signal } : {});
        const answer = await poll().catch((error: unknown) => {
          // RFC 8628 §3.5: a server that is away for a moment is asked again, less often.
          if (!(error instanceof GatehouseRequestError) || error.status !== 0 || Date.now() > until) throw error;
          return { status: 0, body: { error: 'slow_down' } as Record<string, unknown> };
        });
        const { access_token: token, token_type: type, session, expires_in: expiresIn, error } = answer.body;
        if (error === 'slow_down') seconds += 5;
        if (error === 'slow_down' || error === 'authorization_pending') continue;
        if (answer.status !== 200 || typeof token !== 'string' || type !== 'Session') throw refusal(answer);
        return { token, session: String(session), expiresInSeconds: Number(expiresIn) };
      }
    },
  };
}

const isBelow = (address: unknown, url: string): address is string =>
  typeof address === 'string' && address.startsWith(`${url}/`);

const words: Record<string, string> = {
  access_denied: 'The person said no. Nobody is signed in.',
  expired_token: 'Nobody answered in time. Begin again.',
};

function refusal({ status, body }: { status: number; body: Record<string, unknown> }): GatehouseRequestError {
  const code = typeof body.error === 'string' ? body.error : 'invalid_response';
  const detail = words[code] ?? body.error_description ?? `The server refuses to sign you in (HTTP ${status}).`;
  return new GatehouseRequestError(status, code, String(detail));
}
