import { type ClientManifest, COMMAND_LINE_CLIENT, type ConsentClient } from '@gatehouse/protocol';
import type { Client } from 'oidc-provider';
import { type Agent, onOneLine, type Snapshot } from '../../registry/index.ts';
import { grantTypes } from './server-metadata.ts';

/**
 * Who may be a client here, as RFC 7591 metadata: agents, which prove themselves with their keys; declared clients, which people
 * drive an agent with; and the command line tool. Clients with a metadata document are the library's to look up.
 */
/** What agents may use. */
const AGENT_GRANTS = [
  grantTypes.clientCredentials,
  grantTypes.deviceCode,
  grantTypes.ciba,
  grantTypes.tokenExchange,
  grantTypes.jwtBearer,
];
const DRIVEN_GRANTS = [grantTypes.authorizationCode, grantTypes.refreshToken, grantTypes.deviceCode];

/** Of an agent, but for how it proves itself: that is client-authentication.ts's to say, of each request. */
export function agentClient(agent: Agent): Record<string, unknown> {
  return {
    client_id: agent.name,
    client_name: agent.name,
    grant_types: AGENT_GRANTS,
    response_types: [],
    redirect_uris: [],
    backchannel_token_delivery_mode: 'poll',
  };
}

/** A client that is no agent. */
export function drivenClient(snapshot: Snapshot, id: string): Record<string, unknown> | undefined {
  const declared = snapshot.clients.get(id);
  if (declared) return declaredClient(declared);
  return id === COMMAND_LINE_CLIENT ? commandLineClient : undefined;
}

function declaredClient({ name: id, displayName, redirectUris, keys }: ClientManifest): Record<string, unknown> {
  return {
    client_id: id,
    client_name: displayName,
    application_type: redirectUris.every((uri) => uri.startsWith('https:')) ? 'web' : 'native',
    token_endpoint_auth_method: keys.length > 0 ? 'private_key_jwt' : 'none',
    grant_types: DRIVEN_GRANTS,
    response_types: ['code'],
    redirect_uris: redirectUris,
    ...(keys.length > 0 && { jwks: jwks(keys) }),
  };
}

/** Signs people in at a terminal (RFC 8628); it can never have an agent's token. */
const commandLineClient = {
  client_id: COMMAND_LINE_CLIENT,
  client_name: 'Gatehouse command line',
  token_endpoint_auth_method: 'none',
  grant_types: [grantTypes.deviceCode],
  response_types: [],
  redirect_uris: [],
};

const jwks = (keys: Agent['manifest']['keys']) => ({ keys: keys.map(({ alg: _alg, use: _use, ...key }) => key) });

/** RFC 8252 section 7.3: addresses at which a program on the person's own machine listens. */
export function isLoopback(url: URL): boolean {
  return url.protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
}

/** What a person is told of a client, and how much of it is only what the client says of itself. */
export function describeClient(
  { clientId: id, clientName }: Pick<Client, 'clientId' | 'clientName'>,
  snapshot: Snapshot,
  redirectUri: string | null,
): ConsentClient {
  const redirect = redirectUri === null ? null : URL.parse(redirectUri);
  return {
    id,
    // What the client says of itself goes into records, pages and terminals.
    name: onOneLine(String(clientName ?? id).slice(0, 100)),
    known: knownAs(id, snapshot),
    host: id.startsWith('https:') ? (URL.parse(id)?.host ?? null) : null,
    redirectHost: redirect ? redirect.host || redirect.protocol : null,
    loopback: redirect !== null && isLoopback(redirect),
  };
}

function knownAs(id: string, snapshot: Snapshot): ConsentClient['known'] {
  if (snapshot.agents.has(id)) return 'agent';
  if (snapshot.clients.has(id)) return 'registered';
  if (id === COMMAND_LINE_CLIENT) return 'command-line';
  return id.startsWith('https:') ? 'metadata-document' : 'dynamic';
}
