import { X509Certificate } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type Clock,
  GatehouseError,
  type Log,
  type Outbound,
  type RenewedIdentity,
  type Secret,
} from '../platform/index.ts';
import type { Registry } from '../registry/index.ts';
import type { Change, RecordChange, RecordGuarded, Sealer, Storage } from '../storage/index.ts';
import { createAuthorizationServer } from './authorization-server/authorization-server.ts';
import type { ClientMetadataPolicy } from './authorization-server/client-metadata.ts';
import { endpoints } from './authorization-server/server-metadata.ts';
import { forgetExpired } from './authorization-server/used-assertions.ts';
import { createPeers, type Peers } from './client-certificate/peers.ts';
import { createCompanyTokens } from './delegation/company-tokens.ts';
import { createDelegations, type Delegations } from './delegation/delegations.ts';
import { createPersonAssertions, type PersonAssertion } from './delegation/person-assertion.ts';
import {
  createFederation,
  createFederationDoors,
  createGatewayProofs,
  createIssuerKeys,
  createWorkloadProofs,
  type Federation,
  type ProveGateway,
} from './federation/index.ts';
import {
  accessTokenKeys,
  createKeyInventory,
  type KeyInventory,
  logKeys,
  trustDomainKeys,
} from './keys/key-inventory.ts';
import { createPushKeys, type PushKeys } from './keys/push-key.ts';
import { openSigningKeys, type SigningKeys } from './keys/signing-keys.ts';
import { createSshAuthorities, type SshAuthorities } from './keys/ssh-authorities.ts';
import { type ClientKeys, createClientKeys, type People } from './people/index.ts';
import { createRefusals } from './refusals.ts';
import { createTokenReader } from './tokens/authenticate.ts';
import {
  createIdentityTokens,
  type IdentityTokens,
  identityIssuer,
  signedTokenIssuer,
} from './tokens/identity-token.ts';
import { createProofs } from './tokens/proof.ts';
import { protectedResourceMetadata } from './tokens/resources.ts';
import { createSessionProof, type SessionProof } from './tokens/session-proof.ts';
import { createTaskDoor } from './tokens/task-door.ts';
import { createTxnTokens, type TxnTokens } from './tokens/txn-token.ts';
import { type CloudAuthority, createCloudAuthority } from './trust-domain/cloud-authority.ts';
import { createSvidRoutes } from './trust-domain/svid-routes.ts';
import { openTrustDomain } from './trust-domain/trust-domain.ts';
import type { TrustDomain } from './trust-domain/types.ts';
import type { AuthorizationServer, Tokens, Vouching } from './types.ts';

export interface IdentityDependencies {
  storage: Storage;
  registry: Registry;
  recordChange: RecordChange;
  recordGuarded: RecordGuarded;
  sealer: Sealer;
  clock: Clock;
  log: Log;
  people: Pick<People, 'openTerminalSession'>;
  /** For what has to be fetched from outside: bundles of other trust domains, clients' metadata documents, keys of issuers. */
  outbound: Outbound;
  /** SPIFFE trust domain of the workspace. */
  trustDomain: string;
  /** Issuer, and base of every address, without a trailing slash. */
  publicUrl: string;
  /** Age after which signing keys rotate by themselves, in milliseconds; 30 days unless given. */
  keyMaxAgeMs?: number | undefined;
  /** True: every DPoP proof needs a nonce of this replica (RFC 9449 §8). Default false: a nonce is offered to bad clocks only. */
  requireProofNonce?: boolean;
  /** Where client certificates are asked for: the public URL itself, or that of a port of its own. Without it: nowhere. */
  mutualTlsUrl?: string | undefined;
  /** Whose client metadata documents are read. Default: anybody's, at public addresses. */
  clientMetadata?: ClientMetadataPolicy;
  /** True: anybody may register a client (RFC 7591). Default false. */
  dynamicClients?: boolean;
}

export interface Identity {
  tokens: Tokens & Vouching;
  /** Who is at the other end of a request's connection. */
  peers: Peers;
  /** Which other gateway asks for a decision. */
  proveGateway: ProveGateway;
  federation: Federation;
  authorizationServer: AuthorizationServer;
  /** What tool servers are told of the calls that they get. */
  txnTokens: TxnTokens;
  /** What clouds are told of the agents that credentials are asked for. */
  identityTokens: Pick<IdentityTokens, 'sign'>;
  /** What services are told of the agents whose tools call them. */
  signedTokens: Pick<IdentityTokens, 'sign'>;
  /** That a task is for its verified person: for another authorization server, and held by the gate. Throws GatehouseError. */
  assertPerson(of: PersonAssertion): Promise<Secret>;
  keys: SigningKeys;
  trustDomain: TrustDomain;
  /** What proves the house to identity providers. */
  clientKeys: ClientKeys;
  /** What proves to push services who sends. */
  pushKeys: Pick<PushKeys, 'key'>;
  sshAuthorities: Pick<SshAuthorities, 'keyOf'>;
  /** What proves the house to clouds that take certificates. */
  cloudAuthority: Pick<CloudAuthority, 'certificate' | 'anchors'>;
  /** Every signing key of the house. */
  keyInventory: KeyInventory;
  /** Standing delegations: made in the console, or on the consent page of a grant. */
  delegations: Delegations;
  /** Gatehouse's own X.509-SVID, as the certificate of a server that is reached under these URLs. */
  serverIdentity(urls: string[]): Promise<RenewedIdentity>;
  /** That a request which carries a session of the command line is made with its key. */
  sessionProof: SessionProof;
  /** An agent asks about its own task, or ends it (`GET /task`, `POST /task/end`); true when the request was one of these. */
  taskDoor(request: IncomingMessage, response: ServerResponse): Promise<boolean>;
  /** RFC 9728 document for `/mcp` or `/mcp/SERVER`; undefined when there is no such resource. */
  resourceMetadata(path: string): Record<string, unknown> | undefined;
  /** Forgets codes, requests, assertions and clients whose time is over. */
  sweep(): Promise<void>;
  /** For the change feed's listener. */
  refresh(changes: Change[]): Promise<void>;
}

/** Who agents are and how they prove it: tokens, the server that issues them, and the keys that sign them. */
export async function createIdentity(dependencies: IdentityDependencies): Promise<Identity> {
  const { registry, clock, publicUrl, requireProofNonce = false, mutualTlsUrl } = dependencies;
  // Tokens, metadata and audiences compare this text; a second way to write it would be a second issuer.
  if (URL.parse(publicUrl)?.origin !== publicUrl)
    throw new GatehouseError(
      'bad-request',
      'config.public-url',
      `The public URL ${publicUrl} is not an origin. Give it as https://HOST or https://HOST:PORT, in lower case and without a path.`,
    );
  const keys = await openSigningKeys(dependencies);
  const proofs = createProofs({ clock, requireNonce: requireProofNonce });
  const noteRefusal = createRefusals(dependencies);
  const reader = createTokenReader({ ...dependencies, keys, proofs, noteRefusal });
  const core = await openTrustDomain(dependencies);
  const delegations = createDelegations(dependencies);
  const { clientMetadata = { hosts: null }, dynamicClients = false } = dependencies;
  const issuerKeys = createIssuerKeys(dependencies);
  const clientKeys = createClientKeys(dependencies);
  const pushKeys = createPushKeys(dependencies);
  const sshAuthorities = createSshAuthorities(dependencies);
  const cloudAuthority = createCloudAuthority(dependencies);
  const { keys: identityKeys, ...identityTokens } = createIdentityTokens(identityIssuer, dependencies);
  const { keys: signedTokenKeys, ...signedTokens } = createIdentityTokens(signedTokenIssuer, dependencies);
  const federation = createFederation({
    ...dependencies,
    issuerKeys,
    async verifySvid(token, domain, audience) {
      const isDeclared = dependencies.registry.snapshot().trustDomains.has(domain);
      if (isDeclared && !core.foreignBundles().has(domain))
        throw new GatehouseError('unavailable', 'svid.no-bundle', `There is no current bundle of ${domain}.`);
      const { trustDomain: from } = await core.verifyJwtSvid(token, audience);
      if (from !== domain) throw new GatehouseError('forbidden', 'svid.other-domain', `The SVID is one of ${from}.`);
    },
  });
  const peers = createPeers({ svids: core, standingOf: federation.standingOf, clock });
  const proveWorkload = createWorkloadProofs({ ...dependencies, federation, proofs, peers, svids: core });
  const trustDomain = {
    ...core,
    ...createSvidRoutes({ ...dependencies, trustDomain: core, reader, proofs, peers, proveWorkload, noteRefusal }),
  };
  const tokenEndpoint = publicUrl + endpoints.token;
  return {
    tokens: reader,
    peers,
    proveGateway: createGatewayProofs({ ...dependencies, peers, svids: core, noteRefusal }),
    federation,
    authorizationServer: createAuthorizationServer({
      ...dependencies,
      clientMetadata,
      dynamicClients,
      keys,
      proofs,
      reader,
      noteRefusal,
      delegations,
      identityTokens,
      signedTokens,
      companyTokens: createCompanyTokens({ ...dependencies, issuerKeys }),
      peers,
      svids: core,
      mutualTlsUrl,
      federation,
      doors: createFederationDoors({ ...dependencies, federation, proofs, proveWorkload, tokenEndpoint, noteRefusal }),
    }),
    txnTokens: createTxnTokens({ keys, clock, publicUrl }),
    identityTokens,
    signedTokens,
    keys,
    clientKeys,
    pushKeys: { key: () => pushKeys.key() },
    assertPerson: createPersonAssertions({ ...dependencies, keys }),
    sshAuthorities: { keyOf: (provider) => sshAuthorities.keyOf(provider) },
    cloudAuthority: { certificate: cloudAuthority.certificate, anchors: cloudAuthority.anchors },
    delegations,
    trustDomain,
    keyInventory: createKeyInventory({
      ...dependencies,
      all: [
        accessTokenKeys(keys),
        ...trustDomainKeys(trustDomain, dependencies),
        cloudAuthority,
        clientKeys,
        identityKeys,
        signedTokenKeys,
        pushKeys,
        sshAuthorities,
        logKeys(dependencies.storage),
      ],
    }),
    serverIdentity: (urls) => serverIdentityOf(core, urls, clock),
    sessionProof: createSessionProof({ proofs, publicUrl, noteRefusal }),
    taskDoor: createTaskDoor({ tokens: reader, registry, peers, publicUrl, mutualTlsUrl }),
    resourceMetadata: (path) => protectedResourceMetadata(publicUrl, path, registry.snapshot(), mutualTlsUrl),
    async sweep() {
      await Promise.all([forgetExpired(dependencies), federation.forgetExpired()]);
    },
    async refresh(changes) {
      const isKey = changes.some(({ topic }) => topic === 'key');
      if (isKey) {
        await keys.refresh();
        await clientKeys.refresh();
        await identityKeys.refresh();
        await signedTokenKeys.refresh();
        await trustDomain.refresh();
      }
      // Afterwards: what is verified meanwhile is verified by the keys of before. Who is federated with decides, too.
      if (isKey || changes.some(({ topic, key }) => topic === 'object' && key.startsWith('TrustDomain/')))
        peers.forget();
    },
  };
}

/** Replaced at half of its life, so that it outlasts an outage of what would make the next; at once when its authority is destroyed. */
async function serverIdentityOf(
  trustDomain: Pick<TrustDomain, 'serverSvid'>,
  urls: string[],
  clock: Clock,
): Promise<RenewedIdentity> {
  const names = urls.map((url) => new URL(url).hostname.replace(/^\[|\]$/g, ''));
  const { chain, privateKey, notAfter, isSigned } = await trustDomain.serverSvid([...new Set(names)]);
  const now = clock.now();
  return {
    certificate: chain.map((der) => new X509Certificate(der).toString()).join(''),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    isDue: () => clock.now() >= now + (notAfter - now) / 2 || !isSigned(),
  };
}
