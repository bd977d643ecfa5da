import type { KeyObject } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { ToolServerManifest, UpstreamAuthorization, UpstreamAuthorizationView } from '@gatehouse/protocol';
import type { ProofKey, UpstreamToken } from '../../../credentials/index.ts';
import type { Change } from '../../../storage/index.ts';

export type HttpTransport = Extract<ToolServerManifest['transport'], { type: 'http' }>;
export type OAuthSettings = UpstreamAuthorization;
export type AuthorizedTransport = HttpTransport & { authorization: OAuthSettings };

export type { ProofKey, UpstreamToken };

/** What one call has tried. */
export interface Attempt {
  token: UpstreamToken | undefined;
  nonce: string | undefined;
  nonceRetries: number;
  /** It was sent again with a token that somebody else had got since. */
  adopted: boolean;
  renewed: boolean;
  stepUps: number;
}

/** Credentials of one server in one environment. The interface that a credential broker takes over: what is attached, and what a refusal leads to. */
export interface Authorizer {
  /** Headers for a request; none while nothing is needed yet. Throws UpstreamFailure `unreachable`. */
  headers(method: string, attempt: Attempt): Promise<Record<string, string>>;
  /** True: the request did not run and is to be sent again, with new headers. Throws UpstreamFailure `unreachable`. */
  refused(status: number, headers: IncomingHttpHeaders, attempt: Attempt): Promise<boolean>;
  /** Of every answer: servers hand out nonces for proofs in them (RFC 9449 §8.2). */
  heard(headers: IncomingHttpHeaders): void;
  /** The text holds a credential that the server was given; it is then used no more. */
  echoes(text: Uint8Array | string): boolean;
  view(): Promise<UpstreamAuthorizationView>;
  /** Something that the credentials rest on has changed, here or on another replica. */
  forget(): void;
}

/** The gate's own key that signs its client assertions and workload tokens; published at /oauth/jwks. */
export type OwnKey = () => { kid: string; key: KeyObject };

export interface UpstreamAuthorizations {
  /** Undefined for a server that wants no authorization. */
  of(server: ToolServerManifest, environment: string): Authorizer | undefined;
  /** Begins connecting. Throws GatehouseError. */
  connect(server: ToolServerManifest, environment: string | undefined, by: string): Promise<ConnectBegun>;
  disconnect(server: ToolServerManifest, environment: string | undefined, by: string): Promise<{ revoked: boolean }>;
  views(server: ToolServerManifest): Promise<UpstreamAuthorizationView[]>;
  /** /upstream/connect/HANDLE, /upstream/callback/ISSUER and /oauth/client-metadata/ISSUER; true when the request was one of them. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<boolean>;
  /** For the change feed's listener. */
  refresh(changes: Change[]): void;
}

export interface ConnectBegun {
  /** Of our own: to be opened in the browser of whoever began, and in no other. */
  url: string;
  issuer: string;
  scopes: string[];
  expiresAt: number;
}
