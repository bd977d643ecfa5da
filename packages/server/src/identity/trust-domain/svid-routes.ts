import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type JwtSvidAnswer,
  type OutsideProof,
  type SvidBundles,
  svidBodies,
  type X509SvidAnswer,
} from '@gatehouse/protocol';
import type { z } from 'zod';
import {
  type Clock,
  GatehouseError,
  type Log,
  limits,
  parseStrictJson,
  retryAfter,
  toProblem,
} from '../../platform/index.ts';
import type { Agent, Registry } from '../../registry/index.ts';
import type { Storage } from '../../storage/index.ts';
import { verifyClientAssertion } from '../authorization-server/client-assertion.ts';
import type { Peers } from '../client-certificate/peers.ts';
import type { ProveWorkload } from '../federation/index.ts';
import { type NoteRefusal, noteRefused } from '../refusals.ts';
import type { TokenReader } from '../tokens/authenticate.ts';
import { whyStopped } from '../tokens/authenticate.ts';
import { checkBinding } from '../tokens/binding.ts';
import { unauthenticated } from '../tokens/challenge.ts';
import { CredentialError } from '../tokens/credential-error.ts';
import type { Proofs } from '../tokens/proof.ts';
import { MCP_PATH } from '../tokens/resources.ts';
import { readCsr } from './csr.ts';
import { trustDomainLimits } from './limits.ts';
import type { TrustDomainCore } from './trust-domain.ts';
import type { SvidSubject, TrustDomain, VerifiedSvid } from './types.ts';

/** The routes at which agents and workloads get SVIDs, and the bundle endpoint (SPIFFE Federation §5.2: HTTPS GET, nobody is asked who they are). */
export interface SvidRouteDependencies {
  trustDomain: TrustDomainCore;
  storage: Storage;
  registry: Registry;
  clock: Clock;
  log: Log;
  publicUrl: string;
  /** Where client certificates are asked for, if anywhere. */
  mutualTlsUrl?: string | undefined;
  reader: TokenReader;
  proofs: Proofs;
  peers: Peers;
  proveWorkload: ProveWorkload;
  noteRefusal: NoteRefusal;
}

const bundlePath = '/.well-known/spiffe/bundle';
const bundlePaths = new Set([bundlePath, '/spiffe/bundle']);

/** Who has proven themselves, and for how much of themselves. */
interface Proven {
  /** With a task the SVID is that task's, and never the agent's own: a task must not become more than it is (law 5). */
  subject: SvidSubject;
  via: string;
  /** Uses up what was proven with. */
  use?: () => Promise<void>;
  /** Of one who comes with an SVID: when it proved itself otherwise. What it gets does not outlive that for ever. */
  provenAt?: number | undefined;
}

export function createSvidRoutes(dependencies: SvidRouteDependencies): Pick<TrustDomain, 'handle' | 'issuancePaths'> {
  const { trustDomain, log } = dependencies;
  const allow = createRateLimit(dependencies.clock);

  const bundles = async (): Promise<SvidBundles> => {
    const own = await trustDomain.bundle();
    const all = [own, ...trustDomain.foreignBundles().values()];
    return {
      trustDomain: trustDomain.name,
      bundles: Object.fromEntries(all.map((bundle) => [bundle.trustDomain, bundle.document])),
    };
  };

  const x509 = async (body: z.output<typeof svidBodies.x509>, proven: Proven): Promise<X509SvidAnswer> => {
    const { subject, via, provenAt, use } = proven;
    allow(nameOf(subject));
    if (use) {
      // A request that cannot be answered uses nothing up.
      readCsr(body.csr);
      await use();
    }
    const issued = await trustDomain.issueX509({
      subject,
      csr: body.csr,
      via,
      provenAt,
    });
    return {
      spiffeId: issued.spiffeId,
      certificates: issued.chain.map((der) => der.toString('base64')),
      expiresAt: issued.notAfter,
      ...(await bundles()),
    };
  };

  const jwt = async (body: z.output<typeof svidBodies.jwt>, proven: Proven): Promise<JwtSvidAnswer> => {
    const { subject, via, provenAt, use } = proven;
    allow(nameOf(subject));
    await use?.();
    return trustDomain.issueJwt({
      subject,
      audience: body.audience,
      via,
      ...(body.ttlSeconds !== undefined && { ttlSeconds: body.ttlSeconds }),
      provenAt,
    });
  };

  type Answer = (body: never, proven: Proven) => Promise<object>;
  const posts: Record<string, { schema: z.ZodType<Given>; mints: boolean; answer: Answer }> = {
    '/svid/x509': { schema: svidBodies.x509, mints: true, answer: x509 },
    '/svid/jwt': { schema: svidBodies.jwt, mints: true, answer: jwt },
    '/svid/bundles': { schema: svidBodies.bundles, mints: false, answer: bundles },
  };

  async function answerPost(path: string, request: IncomingMessage): Promise<object> {
    const { schema, answer } = posts[path] as (typeof posts)[string];
    const parsed = schema.safeParse(await readJson(request));
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw new GatehouseError(
        'bad-request',
        'body.invalid',
        `The body is refused: ${issue?.path.join('.') || 'it'}: ${issue?.message}.`,
      );
    }
    const proven = await prove(dependencies, request, path, parsed.data);
    return answer(parsed.data as never, proven);
  }

  return {
    async handle(request, response) {
      const path = (request.url ?? '').split('?', 1)[0] as string;
      try {
        if (bundlePaths.has(path)) {
          if (request.method !== 'GET' && request.method !== 'HEAD') throw wrongMethod(response, path, 'GET');
          const { document, refreshHintSeconds } = await trustDomain.bundle();
          send(response, 200, document, {
            'Cache-Control': `public, max-age=${Math.floor(refreshHintSeconds / 2)}`,
            'Access-Control-Allow-Origin': '*',
          });
          return true;
        }
        if (path !== '/svid' && !path.startsWith('/svid/')) return false;
        if (!Object.hasOwn(posts, path))
          throw new GatehouseError('not-found', 'route.unknown', `There is nothing at ${path}.`);
        if (request.method !== 'POST') throw wrongMethod(response, path, 'POST');
        send(response, 200, await answerPost(path, request), { 'Cache-Control': 'no-store' });
      } catch (error) {
        await noteRefused(dependencies.noteRefusal, `POST ${path.slice(0, 200)}`, error);
        const { status, body } = toProblem(error);
        if (status >= 500) log.error('an SVID request failed', { path, error });
        const { challenge, dpopNonce, ...rest } = body as Record<string, unknown>;
        send(response, status, rest, {
          'Content-Type': 'application/problem+json',
          ...retryAfter(status),
          'Cache-Control': 'no-store',
          ...(typeof challenge === 'string' && { 'WWW-Authenticate': challenge }),
          ...(typeof dpopNonce === 'string' && { 'DPoP-Nonce': dpopNonce }),
        });
      }
      return true;
    },
    issuancePaths: () =>
      Object.entries(posts)
        .filter(([, { mints }]) => mints)
        .map(([path]) => `POST ${path}`),
  };
}

/** What a body may prove with. */
interface Given {
  clientAssertion?: string | undefined;
  proof?: OutsideProof | undefined;
}

/**
 * One of four: an access token with its DPoP proof (its task), a client assertion (the agent), an outside proof (the workload of its trust rule), or
 * an X.509-SVID over mTLS (what it names).
 */
async function prove(
  dependencies: SvidRouteDependencies,
  request: IncomingMessage,
  path: string,
  { clientAssertion, proof }: Given,
): Promise<Proven> {
  const { publicUrl, mutualTlsUrl = publicUrl, peers } = dependencies;
  const { authorization, host } = request.headers;
  // Where it was sent, as far as that is an address of ours: what a client calls us decides nothing else.
  const base = host?.toLowerCase() === new URL(mutualTlsUrl).host ? mutualTlsUrl : publicUrl;
  if ([authorization, clientAssertion, proof].filter((each) => each !== undefined).length > 1)
    throw new GatehouseError(
      'bad-request',
      'svid.two-proofs',
      'The request proves in two ways. Send one: an access token for an SVID of its task, a client assertion for one of the agent, an outside proof for one of a workload.',
    );
  if (clientAssertion !== undefined) {
    const agent = await verifyClientAssertion(dependencies, clientAssertion, [publicUrl, publicUrl + path]);
    return { subject: { agent: standing(agent), task: null }, via: 'private_key_jwt' };
  }
  if (authorization !== undefined) return byToken(dependencies, request, authorization, base + path);
  if (proof !== undefined) return byWorkload(dependencies, request, path, proof);
  const { certificate, problem } = await peers.of(request);
  if (certificate?.principal?.kind === 'workload')
    return { ...(await byWorkload(dependencies, request, path)), provenAt: certificate.svid.provenAt ?? 0 };
  if (certificate) return bySvid(dependencies, certificate.svid);
  throw unauthenticated(
    publicUrl,
    publicUrl + path,
    'svid.no-proof',
    problem ??
      'Prove who you are: with an access token and its DPoP proof, a client assertion (clientAssertion in the body), a workload’s outside proof (proof in the body), or an X.509-SVID over mTLS.',
  );
}

async function byToken(
  { reader, proofs, peers, publicUrl, registry }: SvidRouteDependencies,
  request: IncomingMessage,
  authorization: string,
  url: string,
): Promise<Proven> {
  try {
    const [, scheme = '', token] = /^(dpop|bearer) +([A-Za-z0-9._~+/-]{1,8192}=*)$/i.exec(authorization) ?? [];
    if (!token) throw invalid('token.scheme', 'Present the access token as DPoP, or over mutual TLS as Bearer.');
    const live = await reader.read(token);
    const { claims, agent, task } = live;
    if (claims.aud !== `${publicUrl}${MCP_PATH}`)
      throw invalid(
        'token.audience',
        `The access token is for ${claims.aud} only: ask for one for ${publicUrl}${MCP_PATH}.`,
      );
    // Whoever has a bearer token would turn it into something that outlives its revocation.
    if (claims.cnf === undefined)
      throw invalid('token.unbound', 'SVIDs are given for access tokens that are bound to a key or a certificate.');
    // Ours would outlive the foreign one, its rule and its bundle; and whoever has that one needs no other.
    if (registry.snapshot().trustRules.get(claims.gatehouse.rule ?? '')?.issuer.type === 'spiffe') throw federated();
    const { dpop } = request.headers;
    const peer = await peers.of(request);
    checkBinding(
      live,
      {
        scheme: scheme.toLowerCase(),
        dpop: typeof dpop === 'string' ? dpop : undefined,
        method: 'POST',
        url,
        peer,
      },
      proofs,
    );
    return { subject: { agent, task }, via: 'access_token' };
  } catch (error) {
    if (!(error instanceof CredentialError)) throw error;
    const nonce = error.kind === 'use_dpop_nonce' ? proofs.nonce() : undefined;
    throw unauthenticated(publicUrl, url, error.code, error.message, error, nonce);
  }
}

const federated = () =>
  new GatehouseError(
    'forbidden',
    'svid.federated',
    'What proves you comes from an SVID of another trust domain. Use that one: this trust domain gives none for it.',
  );

async function byWorkload(
  { proveWorkload, storage }: SvidRouteDependencies,
  request: IncomingMessage,
  path: string,
  proof?: OutsideProof,
): Promise<Proven> {
  const { workload, guards, via, source, isForeign, use } = await proveWorkload(request, path, proof);
  if (isForeign) throw federated();
  // Whoever sees a JWT-SVID could make a certificate of it that lives twelve times as long.
  if (via === 'jwt-svid')
    throw new GatehouseError(
      'forbidden',
      'svid.by-jwt-svid',
      'A JWT-SVID gets no SVID. Send what the trust rule of the workload takes, or its X.509-SVID over mutual TLS.',
    );
  return {
    subject: { workload, guards },
    via: via === 'x509-svid' ? via : `${via} (${source})`,
    use: () => storage.transaction(use),
  };
}

const nameOf = (subject: SvidSubject) =>
  'agent' in subject ? `agent ${subject.agent.name}` : `workload ${subject.workload.name}`;

const invalid = (code: string, message: string) => new CredentialError('invalid_token', code, message);

/** Renewal: the same name again, for as long as the chain of them may last. The old one is refused from the moment at which its agent or task is stopped. */
async function bySvid({ trustDomain, registry }: SvidRouteDependencies, svid: VerifiedSvid): Promise<Proven> {
  const principal = trustDomain.principalOf(svid.spiffeId);
  if (principal?.kind !== 'agent')
    throw new GatehouseError(
      'forbidden',
      'svid.not-an-agent',
      `${svid.spiffeId} is no agent of this trust domain, so it has no SVID to renew here.`,
    );
  const why = await trustDomain.whyRefused(svid);
  if (why !== undefined) throw new GatehouseError('forbidden', 'svid.refused', `The SVID is refused: ${why}.`);
  const agent = registry.snapshot().agents.get(principal.name) as Agent;
  const task = principal.task === null ? null : ((await registry.task(principal.task)) ?? null);
  return { subject: { agent: standing(agent), task }, via: 'x509-svid', provenAt: svid.provenAt ?? 0 };
}

function standing(agent: Agent): Agent {
  const stopped = whyStopped(agent);
  if (stopped) throw new GatehouseError('forbidden', stopped.code, stopped.message);
  return agent;
}

const WINDOW_MS = 60_000;
/** Agents seen in a window; a flood of them is bounded by how many there are. */
const MAX_COUNTED = 100_000;

/** At most so many in a minute for one agent, on this replica: a loop must not fill the record. */
function createRateLimit(clock: Clock) {
  let since = clock.now();
  let counts = new Map<string, number>();
  return (whom: string) => {
    const now = clock.now();
    if (now - since >= WINDOW_MS || counts.size > MAX_COUNTED) {
      since = now;
      counts = new Map();
    }
    const count = (counts.get(whom) ?? 0) + 1;
    counts.set(whom, count);
    if (count > trustDomainLimits.svidsPerAgentPerMinute)
      throw new GatehouseError(
        'too-many',
        'svid.rate',
        `The ${whom} has had ${trustDomainLimits.svidsPerAgentPerMinute} SVIDs in this minute. Keep one until half of its life is over.`,
      );
  };
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const tooLarge = () =>
    new GatehouseError(
      'too-large',
      'body.too-large',
      `A request here has at most ${trustDomainLimits.requestBytes} bytes.`,
    );
  if (Number(request.headers['content-length'] ?? 0) > trustDomainLimits.requestBytes) throw tooLarge();
  const slow = setTimeout(() => request.destroy(), limits.requestBodyTimeoutMs);
  slow.unref();
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > trustDomainLimits.requestBytes) throw tooLarge();
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(slow);
  }
  return size === 0 ? {} : parseStrictJson(Buffer.concat(chunks), 8);
}

function wrongMethod(response: ServerResponse, path: string, method: string): GatehouseError {
  response.setHeader('Allow', method);
  return new GatehouseError('bad-request', 'route.method', `${path} answers ${method} only.`);
}

function send(response: ServerResponse, status: number, body: unknown, headers: Record<string, string>): void {
  if (response.headersSent || response.destroyed) return;
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    'X-Content-Type-Options': 'nosniff',
    // A body that nobody has read must not be waited for before the next request on this connection.
    ...(response.req.complete ? {} : { Connection: 'close' }),
    ...headers,
  });
  response.end(response.req.method === 'HEAD' ? undefined : text);
}
