import { hash } from 'node:crypto';
import { errors, type KoaContextWithOIDC, Provider } from 'oidc-provider';
import { type Clock, GatehouseError } from '../../platform/index.ts';
import type { Agent, Registry } from '../../registry/index.ts';
import type { Storage } from '../../storage/index.ts';
import type { PeerCertificate } from '../client-certificate/peers.ts';
import type { Principal, SvidVerifier, VerifiedSvid } from '../client-certificate/svid-verifier.ts';
import type { Federation } from '../federation/index.ts';
import { whyStopped } from '../tokens/authenticate.ts';
import { MalformedJws, parseCompactJws } from '../tokens/jws.ts';
import { arrivalOf } from './arrival.ts';
import { withFederatedClient } from './grants/jwt-bearer.ts';
import { oauthError } from './oauth-error.ts';
import { useAssertion } from './used-assertions.ts';

/**
 * How an agent proves itself at the endpoints that oidc-provider answers. The library knows one method per client; an agent may use
 * any that it has the means for, so each request gets the client with the method that it uses:
 *
 * - a `client_assertion` signed with a registered key: private_key_jwt (RFC 7523), checked by the library;
 * - the X.509-SVID of the connection: tls_client_auth with `tls_client_auth_san_uri` (RFC 8705 §2.1.2), asked for by the library and
 *   answered from what the door has verified;
 * - a JWT-SVID as `client_assertion` (draft-ietf-oauth-spiffe-client-auth, "Client Authentication with JWT-SVIDs"), which the library
 *   has no notion of: verified here, and what remains for the library is a client that needs no more proof.
 *
 * An SVID of a federated trust domain proves the agent that exactly one trust rule lets it stand for. The request may name the agent, or the
 * SPIFFE ID of its SVID, as `client_id`.
 */
const JWT_SVID_ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe';

const MAX_SVID_CHARS = 4_096;

/** Begin what may be said of an SVID to whoever sent it: it tells nothing of which agents exist. */
const JWT_REFUSED = 'The JWT-SVID is refused: ';
const CERTIFICATE_REFUSED = 'The client certificate is refused: ';
export const mayBeSaid = (reason: string): boolean =>
  reason.startsWith(JWT_REFUSED) || reason.startsWith(CERTIFICATE_REFUSED);

/** As the record of a token names them. */
export type AuthenticationMethod = 'private_key_jwt' | 'tls_client_auth' | 'spiffe_jwt';

interface Dependencies {
  storage: Storage;
  registry: Registry;
  clock: Clock;
  publicUrl: string;
  svids: SvidVerifier;
  federation: Federation;
}

type NamedAgent = Extract<Principal, { kind: 'agent' }>;

/** A JWT-SVID that was sent as client assertion, and what came of its verification. */
interface SentSvid {
  token: string;
  proven?: Promise<ProvenAgent>;
}

interface ProvenAgent {
  agent: NamedAgent;
  spiffeId: string;
  /** The trust rule that lets a foreign SVID stand for the agent. */
  rule?: string;
}

type Context = Pick<KoaContextWithOIDC, 'oidc' | 'req' | 'href'>;

const sent = new WeakMap<object, SentSvid>();

/** Takes a JWT-SVID out of every form, and gives a form that needs no client one, before the library looks for what it knows. */
export function takeJwtSvids(provider: Provider): void {
  const forms = new WeakMap<object, Record<string, unknown>>();
  Object.defineProperty(provider.OIDCContext.prototype, 'body', {
    configurable: true,
    get(this: object) {
      return forms.get(this);
    },
    set(this: object, form: Record<string, unknown> | undefined) {
      if (form === undefined) return;
      forms.set(this, withFederatedClient(form));
      if (form.client_assertion_type !== JWT_SVID_ASSERTION || typeof form.client_assertion !== 'string') return;
      const { client_assertion: token, client_assertion_type: _, ...others } = form;
      sent.set(this, { token });
      forms.set(this, { client_id: subjectOf(token), ...others });
    },
  });
}

/** Of a token that nobody has verified yet: it only says whom to look for. */
function subjectOf(token: string): string | undefined {
  try {
    const { sub } = parseCompactJws(token, MAX_SVID_CHARS).payload;
    return typeof sub === 'string' ? sub : undefined;
  } catch (error) {
    if (error instanceof MalformedJws) return undefined;
    throw error;
  }
}

/** The agent that an SVID of the request at hand stands for by trust rule, if this is its SPIFFE ID. */
export async function agentByRule(dependencies: Dependencies, clientId: string): Promise<NamedAgent | undefined> {
  const ctx = Provider.ctx as Context | undefined;
  if (!ctx || !clientId.startsWith('spiffe://')) return undefined;
  const svid = sent.get(ctx.oidc);
  if (svid) {
    const proven = await provenBy(dependencies, svid);
    return proven.rule !== undefined && proven.spiffeId === clientId ? proven.agent : undefined;
  }
  const { certificate } = arrivalOf(ctx).peer;
  return certificate?.rule !== undefined &&
    certificate.principal?.kind === 'agent' &&
    certificate.svid.spiffeId === clientId
    ? certificate.principal
    : undefined;
}

/**
 * Says to whoever has nothing but a verified SVID of a federated trust domain why it lets nobody in; the same whether or not there is such an
 * agent.
 */
export async function refuseStranger({ federation }: Pick<Dependencies, 'federation'>): Promise<void> {
  const ctx = Provider.ctx as Context | undefined;
  if (!ctx || ctx.oidc.params?.client_assertion !== undefined || sent.has(ctx.oidc)) return;
  const { certificate } = arrivalOf(ctx).peer;
  if (certificate?.stranger === undefined) return;
  await federation.refuseSvid(certificate.svid.spiffeId, certificate.stranger);
  throw new errors.InvalidClientAuth(`${CERTIFICATE_REFUSED}${certificate.stranger}`);
}

/** The members of an agent's client metadata (RFC 7591 §2) that say how it proves itself in the request at hand. */
export async function authenticationMetadata(
  dependencies: Dependencies,
  agent: Agent,
): Promise<Record<string, unknown> | undefined> {
  const ctx = Provider.ctx as Context | undefined;
  const svid = ctx && sent.get(ctx.oidc);
  if (svid) {
    if (!isSame((await provenBy(dependencies, svid)).agent, agent))
      throw new errors.InvalidClientAuth('the JWT-SVID is of another agent than client_id');
    return { token_endpoint_auth_method: 'none' };
  }
  if (ctx && ctx.oidc.params?.client_assertion === undefined && arrivalOf(ctx).peer.certificate) {
    await refuseStranger(dependencies);
    await checkCertificate(dependencies, arrivalOf(ctx).peer.certificate as PeerCertificate, agent);
    return { token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_san_uri: agent.spiffeId };
  }
  if (agent.manifest.keys.length === 0) return undefined;
  return {
    token_endpoint_auth_method: 'private_key_jwt',
    // `alg` is left out: which algorithms a key may use follows from its type.
    jwks: { keys: agent.manifest.keys.map(({ alg: _alg, use: _use, ...key }) => key) },
  };
}

function provenBy(dependencies: Dependencies, svid: SentSvid): Promise<ProvenAgent> {
  svid.proven ??= prove(dependencies, svid.token);
  return svid.proven;
}

async function prove(dependencies: Dependencies, token: string): Promise<ProvenAgent> {
  const { storage, clock, publicUrl, svids } = dependencies;
  const svid = await svids.verifyJwtSvid(token, publicUrl).catch((cause: unknown) => {
    if (!(cause instanceof GatehouseError) || cause.kind !== 'unauthenticated') throw cause;
    throw new errors.InvalidClientAuth(`${JWT_REFUSED}${cause.message}`);
  });
  // Narrower than SPIFFE: one that is also meant for others could be brought here by any of them (rfc7523bis).
  if (svid.audience.length !== 1)
    throw new errors.InvalidClientAuth(`${JWT_REFUSED}its aud must be ${publicUrl} and nothing else.`);
  if (!svids.isOwn(svid.spiffeId)) return proveByRule(dependencies, token, svid);
  const agent = svids.principalOf(svid.spiffeId);
  if (agent?.kind !== 'agent')
    throw new errors.InvalidClientAuth(`${JWT_REFUSED}${svid.spiffeId} is no agent of this trust domain.`);
  const stopped = await svids.whyRefused(svid);
  if (stopped !== undefined) throw oauthError('unauthorized_client', `The SVID is refused: ${stopped}.`);
  // Used once, like every assertion: whoever captures one in a request has nothing. Of the signed part: a signature can be written in two ways.
  const id = hash('sha256', token.slice(0, token.lastIndexOf('.')), 'base64url');
  if (!(await useAssertion(storage, id, clock.now(), svid.notAfter)))
    throw new errors.InvalidClientAuth(`${JWT_REFUSED}it was used before. Fetch a new one for every request.`);
  return { agent, spiffeId: svid.spiffeId };
}

async function proveByRule(
  { storage, registry, federation }: Dependencies,
  token: string,
  { spiffeId }: VerifiedSvid,
): Promise<ProvenAgent> {
  const vouched = await federation
    .vouch({ token })
    .then(async (found) => {
      await storage.transaction((transaction) => found.use(transaction, ''));
      return found;
    })
    .catch((cause: unknown) => {
      if (!(cause instanceof GatehouseError) || cause.kind !== 'forbidden') throw cause;
      throw new errors.InvalidClientAuth(`${JWT_REFUSED}${cause.message}`);
    });
  const agent = registry.snapshot().agents.get(vouched.rule.agent ?? '');
  if (!agent) throw new errors.InvalidClientAuth(`${JWT_REFUSED}${spiffeId} stands for no agent.`);
  const { name, manifest } = agent;
  return {
    agent: { kind: 'agent', environment: manifest.environment, name, task: null },
    spiffeId,
    rule: vouched.rule.name,
  };
}

/** Of a certificate that is this agent's: it must not be from before a kill, or of a task that is over. */
async function checkCertificate({ svids }: Dependencies, certificate: PeerCertificate, agent: Agent): Promise<void> {
  if (certificate.principal?.kind !== 'agent' || !isSame(certificate.principal, agent)) return;
  const stopped =
    certificate.rule === undefined ? await svids.whyRefused(certificate.svid) : whyStopped(agent)?.message;
  if (stopped !== undefined) throw oauthError('unauthorized_client', `The SVID is refused: ${stopped}.`);
}

const isSame = ({ name, environment }: NamedAgent, agent: Agent) =>
  name === agent.name && environment === agent.manifest.environment;

/** `features.mTLS` of the library: what the door has verified, in the library's terms. */
export const mutualTls = ({ svids }: Pick<Dependencies, 'svids'>) => ({
  enabled: true,
  tlsClientAuth: true,
  getCertificate: (ctx: Context) => arrivalOf(ctx).peer.certificate?.thumbprint,
  certificateAuthorized: (ctx: Context) => arrivalOf(ctx).peer.certificate !== undefined,
  certificateSubjectMatches: (ctx: Context, _property: string, expected: string) => {
    const { certificate } = arrivalOf(ctx).peer;
    const [own, theirs] = [certificate?.principal, svids.principalOf(expected)];
    return (
      own?.kind === 'agent' &&
      theirs?.kind === 'agent' &&
      own.name === theirs.name &&
      own.environment === theirs.environment
    );
  },
});

/** How the client of this request has proven itself, and by which trust rule, if by one. */
export async function authenticationOf(ctx: Context): Promise<{ via: string; rule?: string }> {
  const assertion = await sent.get(ctx.oidc)?.proven;
  if (assertion) return byRule('spiffe_jwt', assertion);
  const { certificate } = arrivalOf(ctx).peer;
  if (ctx.oidc.client?.clientAuthMethod !== 'tls_client_auth' || !certificate) return { via: 'private_key_jwt' };
  return byRule('tls_client_auth', { spiffeId: certificate.svid.spiffeId, rule: certificate.rule });
}

const byRule = (method: AuthenticationMethod, { spiffeId, rule }: { spiffeId: string; rule?: string | undefined }) =>
  rule === undefined ? { via: method } : { via: `${method} by trust rule ${rule} (${spiffeId})`, rule };

/** The one task that the SVIDs of this request are for; undefined when none of them is for a task only. */
export async function onlyTaskOf(ctx: Context): Promise<string | undefined> {
  const { certificate } = arrivalOf(ctx).peer;
  const ofCertificate = certificate?.principal?.kind === 'agent' ? certificate.principal.task : null;
  const ofAssertion = (await sent.get(ctx.oidc)?.proven)?.agent.task;
  return ofAssertion ?? ofCertificate ?? undefined;
}
