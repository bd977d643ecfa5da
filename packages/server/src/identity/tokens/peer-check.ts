import type { Task } from '@gatehouse/protocol';
import type { Agent } from '../../registry/index.ts';
import type { Peer } from '../client-certificate/peers.ts';
import { CredentialError } from './credential-error.ts';

/**
 * RFC 8705 §3: the token is good only over a connection that was made with the certificate of its `x5t#S256`. Beyond the RFC that
 * certificate must still be valid, and of the trust domain, at this very request.
 */
export function checkCertificate(thumbprint: string, peer: Peer): void {
  if (peer.certificate?.thumbprint === thumbprint) {
    const { principal, stranger = 'it stands for no agent.' } = peer.certificate;
    if (principal?.kind === 'agent') return;
    throw refused(
      'token.certificate-refused',
      `The access token is bound to the client certificate of this connection, which is refused now: ${stranger}`,
    );
  }
  if (peer.certificate)
    throw refused(
      'token.other-certificate',
      'The access token is bound to another client certificate than the one of this connection: ask for a new token with this one.',
    );
  if (peer.problem !== undefined)
    throw refused(
      'token.certificate-refused',
      `The access token is bound to a client certificate, and the one of this connection is refused: ${peer.problem}`,
    );
  throw refused(
    'token.certificate-missing',
    'The access token is bound to a client certificate: present it over mutual TLS, with that certificate.',
  );
}

/** A connection that one agent or task has proven as its own does not carry the tokens of another, whatever they are bound to. */
export function checkPeer({ certificate }: Peer, agent: Agent, task: Task): void {
  if (certificate?.principal?.kind !== 'agent') return;
  const { name, environment, task: only } = certificate.principal;
  if (name !== agent.name || environment !== agent.manifest.environment)
    throw refused(
      'token.other-agent',
      `The client certificate of this connection is ${certificate.svid.spiffeId}'s, and the access token is ${agent.spiffeId}'s.`,
    );
  if (only !== null && only !== task.id)
    throw refused(
      'token.other-task',
      `The client certificate of this connection is for task ${only} only, and the access token is for task ${task.id}.`,
    );
}

const refused = (code: string, message: string) => new CredentialError('invalid_token', code, message);
