import { hash } from 'node:crypto';
import type { Task } from '@gatehouse/protocol';
import { type Clock, GatehouseError, limits } from '../../platform/index.ts';
import type { Agent, Registry, Snapshot } from '../../registry/index.ts';
import type { Storage } from '../../storage/index.ts';
import { nobody } from '../client-certificate/peers.ts';
import type { SigningKeys } from '../keys/signing-keys.ts';
import type { NoteRefusal } from '../refusals.ts';
import type { Caller, ChainLink, Tokens, Vouching } from '../types.ts';
import { type AccessTokenClaims, presenterOf, verifyAccessToken } from './access-token.ts';
import { checkBinding } from './binding.ts';
import { createBoundedCache } from './bounded-cache.ts';
import { unauthenticated } from './challenge.ts';
import { CredentialError } from './credential-error.ts';
import type { Proofs } from './proof.ts';
import { audienceCovers } from './resources.ts';

/**
 * Who calls: the access token, then the proof. The signature of a token is checked once per replica and remembered by the
 * token's hash; everything that can change while a token lives (agent, epoch, revocation, task, keys) is checked on every call,
 * from memory. Deciding what the caller may do is not done here.
 */
interface Dependencies {
  storage: Storage;
  registry: Registry;
  clock: Clock;
  keys: SigningKeys;
  proofs: Proofs;
  publicUrl: string;
  noteRefusal: NoteRefusal;
}

export interface TokenReader extends Tokens, Vouching {
  /** The claims of a token that would be accepted now, proof aside. Throws CredentialError. */
  read(token: string): Promise<LiveToken>;
  /** The claims of a token that is ours, whether or not it would be accepted now. Throws CredentialError. */
  claims(token: string): Promise<AccessTokenClaims>;
}

export interface LiveToken {
  claims: AccessTokenClaims;
  agent: Agent;
  task: Caller['task'];
  /** Who handed the task on, each of them active and at work. */
  chain: ChainLink[];
  /** SHA-256 of the token, base64url: the `ath` of its proofs. */
  hash: string;
}

/** Tokens at work on one replica; each entry is about 1.5 KB. */
const TOKENS_PER_GENERATION = 8_192;
/** Longer than any token; keeps a flood of text from being hashed. */
const MAX_AUTHORIZATION_CHARS = 8_192;

interface Verified {
  claims: AccessTokenClaims;
  keysVersion: number;
}

export function createTokenReader(dependencies: Dependencies): TokenReader {
  const { storage, registry, clock, keys, proofs, publicUrl, noteRefusal } = dependencies;
  const verified = createBoundedCache<Verified>(TOKENS_PER_GENERATION);

  const claimsOf = async (token: string, tokenHash: string, now: number): Promise<AccessTokenClaims> => {
    const known = verified.get(tokenHash);
    if (known && known.keysVersion === keys.version()) return known.claims;
    verified.delete(tokenHash);
    // Of before: keys that change meanwhile must not leave behind a token that the former ones have verified.
    const keysVersion = keys.version();
    const claims = await verifyAccessToken(token, { keys, issuer: publicUrl, now });
    verified.set(tokenHash, { claims, keysVersion });
    return claims;
  };

  const hashOf = (token: string) => hash('sha256', token, 'base64url');
  const ours = (token: string) => claimsOf(token, hashOf(token), clock.now());

  const live = async (claims: AccessTokenClaims, tokenHash: string): Promise<LiveToken> => {
    const now = clock.now();
    if (claims.exp * 1000 <= now) {
      verified.delete(tokenHash);
      throw refused(
        'token.expired',
        `The access token has expired: get a new one for task ${claims.gatehouse.task}, or start a new task.`,
      );
    }
    requireFresh();
    const agent = livingAgent(claims, registry.snapshot());
    return { claims, agent, ...(await livingTask(claims.gatehouse.task, agent, now)), hash: tokenHash };
  };

  /** A snapshot that may be old knows nothing of a kill: then nobody is who he says (law 6). */
  const requireFresh = () => {
    if (storage.feed.fresh()) return;
    throw new GatehouseError(
      'unavailable',
      'feed.stale',
      'This replica has lost touch with the workspace and lets nobody in. Try again, or another replica.',
    );
  };

  const livingTask = async (id: string, agent: Agent, now: number): Promise<{ task: Task; chain: ChainLink[] }> => {
    const task = await registry.task(id);
    if (!task || task.agent !== agent.name || task.state !== 'active' || task.expiresAt <= now)
      throw refused('task.over', `Task ${id} is over: start a new one.`);
    return { task, chain: await livingChain(task, now) };
  };

  /** The tasks from which this one was handed on (law 6: what ends one of them, or stops its agent, ends this one). */
  const livingChain = async (task: Task, now: number): Promise<ChainLink[]> => {
    const chain: ChainLink[] = [];
    for (let at = task; at.parent !== null; ) {
      if (chain.length >= limits.actorChainDepth)
        throw refused('task.chain-depth', `Task ${task.id} has too long a chain.`);
      const above = await registry.task(at.parent);
      if (above?.state !== 'active' || above.expiresAt <= now)
        throw refused('task.over', `Task ${at.parent}, from which ${at.id} was handed on, is over: ask for it again.`);
      const agent = registry.snapshot().agents.get(above.agent);
      if (!agent)
        throw refused('agent.unknown', `There is no agent ${above.agent} any more, which handed the task on.`);
      const stopped = whyStopped(agent);
      if (stopped) throw refused(stopped.code, `${stopped.message} It handed on the task ${at.id}.`);
      chain.push({ agent: agent.name, agentEpoch: agent.epoch, task: above });
      at = above;
    }
    return chain;
  };

  type Request = Parameters<Tokens['authenticate']>[0];
  /** `know` is told whose token it is as soon as that is certain, for the record of a refusal. */
  const present = async (request: Request, url: string, know: (claims: AccessTokenClaims) => void): Promise<Caller> => {
    const { scheme, token } = credentials(request.authorization ?? '');
    const tokenHash = hashOf(token);
    const claims = await claimsOf(token, tokenHash, clock.now());
    know(claims);
    const found = await live(claims, tokenHash);
    const { agent, task, chain } = found;
    if (!audienceCovers(claims.aud, request.resource ? `${publicUrl}${request.resource}` : url, publicUrl))
      throw refused('token.audience', `The access token is for ${claims.aud} only: ask for one for this resource.`);

    const { jkt, 'x5t#S256': certificate } = claims.cnf ?? {};
    if (jkt === undefined && certificate === undefined && !agent.manifest.bearerOnly)
      throw refused('token.unbound', 'This agent must use DPoP: ask for a token with a DPoP proof.');
    const { dpop, method, peer = nobody } = request;
    if (request.resource && jkt === undefined)
      throw refused('token.unbound', 'At another gateway an agent must use DPoP: ask for a token with a DPoP proof.');
    checkBinding(found, { scheme, dpop, method, url, peer }, proofs);
    return {
      agent: agent.name,
      agentEpoch: claims.gatehouse.agent_epoch,
      task,
      actorChain: actorChainOf(agent, task),
      chain,
      tokenId: claims.jti,
      proofKey: jkt ?? null,
      isBound: jkt !== undefined || certificate !== undefined,
      expiresAt: claims.exp * 1000,
    };
  };

  return {
    read: async (token) => live(await ours(token), hashOf(token)),
    claims: ours,
    async authenticate(request) {
      const url = request.url.startsWith('/') ? `${publicUrl}${request.url}` : request.url;
      const resource = request.resource ? `${publicUrl}${request.resource}` : url;
      if (!request.authorization) {
        const message = `Present an access token of an agent: get one from ${publicUrl}/oauth/token.`;
        throw unauthenticated(publicUrl, resource, 'token.missing', message);
      }
      let claims: AccessTokenClaims | undefined;
      try {
        return await present(request, url, (known) => (claims = known));
      } catch (error) {
        if (!(error instanceof CredentialError)) throw error;
        await noteRefusal({
          at: `${request.method} ${URL.parse(url)?.pathname.slice(0, 200)}`,
          code: error.code,
          why: error.message,
          agent: claims?.client_id,
          task: claims?.gatehouse.task,
        });
        const nonce = error.kind === 'use_dpop_nonce' ? proofs.nonce() : undefined;
        throw unauthenticated(publicUrl, resource, error.code, error.message, error, nonce);
      }
    },
    async vouchedFor(name, id) {
      requireFresh();
      try {
        const agent = registry.snapshot().agents.get(name);
        if (!agent) throw refused('agent.unknown', `There is no agent ${name}.`);
        const stopped = whyStopped(agent);
        if (stopped) throw refused(stopped.code, stopped.message);
        const { task, chain } = await livingTask(id, agent, clock.now());
        return {
          agent: agent.name,
          agentEpoch: agent.epoch,
          task,
          actorChain: actorChainOf(agent, task),
          chain,
          // There is no token that could be revoked; the task can be ended.
          tokenId: `none:${task.id}`,
          proofKey: null,
          expiresAt: task.expiresAt,
        };
      } catch (error) {
        if (error instanceof CredentialError) throw new GatehouseError('forbidden', error.code, error.message);
        throw error;
      }
    },
  };
}

/** Presenting agent first, then who handed the task on, last the person for whom it is. */
function actorChainOf(agent: Agent, task: Caller['task']): Caller['actorChain'] {
  return [
    { sub: agent.spiffeId, profile: 'ai_agent' },
    ...task.actors,
    ...(task.user === null ? [] : [{ sub: `person:${task.user}`, profile: 'user' as const }]),
  ];
}

/** RFC 9110 §11.4, RFC 6750 §2.1, RFC 9449 §7.1: one scheme, one space or more, one token68. */
const AUTHORIZATION = /^(bearer|dpop) +([A-Za-z0-9._~+/-]+=*)$/i;

function credentials(authorization: string): { scheme: string; token: string } {
  const match = authorization.length <= MAX_AUTHORIZATION_CHARS ? AUTHORIZATION.exec(authorization) : null;
  const [, scheme, token] = match ?? [];
  if (!scheme || !token)
    throw refused('token.malformed', 'The Authorization header is not "DPoP TOKEN" or "Bearer TOKEN".');
  return { scheme: scheme.toLowerCase(), token };
}

function livingAgent(claims: AccessTokenClaims, snapshot: Snapshot): Agent {
  const agent = snapshot.agents.get(claims.client_id);
  if (!agent || agent.spiffeId !== presenterOf(claims))
    throw refused('agent.unknown', `There is no agent ${claims.client_id} any more.`);
  const stopped = whyStopped(agent);
  if (stopped) throw refused(stopped.code, stopped.message);
  if (agent.epoch !== claims.gatehouse.agent_epoch)
    throw refused('token.stale', `Agent ${agent.name} was changed since this token was made: get a new one.`);
  if (claims.gatehouse.rule !== undefined && !standsBy(claims.gatehouse.rule, agent, snapshot))
    throw refused(
      'token.rule',
      `The trust rule ${claims.gatehouse.rule}, by which this token was given, lets nobody in as ${agent.name} any more.`,
    );
  if (snapshot.revokedTokens.has(claims.jti)) throw refused('token.revoked', 'The access token was revoked.');
  return agent;
}

/** Whether a trust rule still lets somebody stand for the agent. */
function standsBy(name: string, agent: Agent, { trustRules, trustDomains }: Snapshot): boolean {
  const rule = trustRules.get(name);
  if (rule?.state !== 'active' || rule.agent !== agent.name) return false;
  return rule.issuer.type !== 'spiffe' || trustDomains.has(rule.issuer.trustDomain);
}

/** Why an agent may not act now, or undefined. The one answer for doors and token endpoint. */
export function whyStopped(agent: Agent): { code: string; message: string } | undefined {
  const owner = `ask its owner, ${agent.manifest.owner}`;
  if (agent.killedAt !== null) return { code: 'agent.killed', message: `Agent ${agent.name} was killed: ${owner}.` };
  if (agent.state !== 'active')
    return { code: `agent.${agent.state}`, message: `Agent ${agent.name} is ${agent.state}, not active: ${owner}.` };
  return undefined;
}

const refused = (code: string, message: string) => new CredentialError('invalid_token', code, message);
