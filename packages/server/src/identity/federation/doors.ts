import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Enrolled, enrolBody, outsideProof, type Task, taskDetails } from '@gatehouse/protocol';
import { z } from 'zod';
import {
  clientAddress,
  GatehouseError,
  isJsonObject,
  limits,
  parseStrictJson,
  retryAfter,
  toProblem,
} from '../../platform/index.ts';
import type { DatabaseTransaction } from '../../storage/index.ts';
import { type NoteRefusal, noteRefused } from '../refusals.ts';
import { CredentialError } from '../tokens/credential-error.ts';
import type { Proofs } from '../tokens/proof.ts';
import type { Federation, FederationDependencies } from './federation.ts';
import { agentOfJoinToken, useJoinToken } from './join-tokens.ts';
import { provenKey } from './proven-key.ts';
import type { ProveWorkload } from './workload-proof.ts';

/**
 * Two doors for those who have no key here: an agent enrols one (`POST /enrol`), a workload starts a task of an agent
 * (`POST /workload/tasks`). Both take an outside proof and nothing else; answers are JSON, errors are RFC 9457 problem details.
 */
export const doorPaths = { enrol: '/enrol', startTask: '/workload/tasks' } as const;

export type DoorAnswer = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

interface DoorDependencies extends Omit<FederationDependencies, 'issuerKeys'> {
  federation: Federation;
  proofs: Proofs;
  proveWorkload: ProveWorkload;
  tokenEndpoint: string;
  noteRefusal: NoteRefusal;
}

/** An outside token, or a signed AWS request, and a task. */
const MAX_BODY_BYTES = 48 * 1024;

export function createFederationDoors(deps: DoorDependencies): Map<string, DoorAnswer> {
  return new Map([
    [doorPaths.enrol, door(deps, (request, body) => enrol(deps, request, body))],
    [doorPaths.startTask, door(deps, (request, body) => startTask(deps, request, body))],
  ]);
}

async function enrol(deps: DoorDependencies, request: IncomingMessage, body: unknown): Promise<Enrolled> {
  const { registry, storage, clock, federation, publicUrl, tokenEndpoint } = deps;
  const given = parse(enrolBody, body);
  if (!storage.feed.fresh())
    throw new GatehouseError(
      'unavailable',
      'feed.stale',
      'This replica has lost touch with the workspace and lets nobody in. Try again.',
    );
  let credential: string;
  let agentName: string | undefined;
  let by: string;
  let how: string[];
  let use: (transaction: DatabaseTransaction, key: string) => Promise<void>;
  if ('join_token' in given) {
    const address = clientAddress(request) ?? '';
    const token = await agentOfJoinToken({ storage, clock }, given.join_token, address);
    [credential, agentName, by] = [given.join_token, token.agent, `join-token:${token.id}`];
    how = [`by join token ${token.id}, from ${address}`];
    use = (transaction) => useJoinToken(transaction, token.id, clock.now());
  } else {
    const vouched = await federation.vouch(
      'token' in given ? { token: given.token } : { aws: given.aws },
      clientAddress(request),
    );
    [credential, agentName, by] = [vouched.credential, vouched.rule.agent, `trust-rule:${vouched.rule.name}`];
    how = [`by trust rule ${vouched.rule.name} (${vouched.rule.issuer.type})`, `proven: ${vouched.source}`];
    use = vouched.use;
  }
  // A join token or rule names the agent; what the caller says can only be wrong.
  if (agentName === undefined || (given.agent !== undefined && given.agent !== agentName))
    throw new GatehouseError(
      'forbidden',
      'enrol.other-agent',
      'This proof does not stand for the agent that was named. Correct the name, or leave `agent` out of the request.',
    );
  const key = provenKey(deps, request, doorPaths.enrol, credential);
  const agent = await registry.enrolAgentKey(agentName, key.members, {
    by,
    how,
    within: (transaction) => use(transaction, key.thumbprint),
  });
  return {
    agent: agent.name,
    spiffe_id: agent.spiffeId,
    key: key.thumbprint,
    issuer: publicUrl,
    token_endpoint: tokenEndpoint,
  };
}

const startBody = z.strictObject({ proof: outsideProof.optional(), agent: z.string().max(64), task: z.unknown() });

/**
 * What a workload states is trusted, unlike what an agent states: its manifest vouches for it (law 9). A DPoP proof is needed only for a token
 * that is to be presented more than once. A request that starts nothing uses no proof up.
 */
async function startTask(deps: DoorDependencies, request: IncomingMessage, body: unknown): Promise<{ task: Task }> {
  const { registry, recordChange, proveWorkload } = deps;
  const { proof, agent, task } = parse(startBody, body);
  const details = parse(taskDetails.options[1], task, ['task']);
  const { workload, via, source, use } = await proveWorkload(request, doorPaths.startTask, proof);
  // The workload is looked at again in the transaction that starts the task: one stopped meanwhile starts nothing (law 6).
  const started = await registry.startTask(agent, details, {
    vouchedBy: workload.spiffeId,
    async within(transaction, { id }) {
      await use(transaction);
      await recordChange(transaction, {
        operation: 'workload.prove',
        by: workload.spiffeId,
        agent,
        task: id,
        environment: workload.manifest.environment,
        changes: [`by ${via}`, `proven: ${source}`, `to start a task of ${agent}`],
      });
    },
  });
  return { task: started };
}

function parse<T>(schema: z.ZodType<T>, value: unknown, at: string[] = []): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues
    .slice(0, 5)
    .map(({ path, message }) => `${[...at, ...path].join('.') || 'the body'}: ${message}`);
  throw new GatehouseError('bad-request', 'body.invalid', `The request is refused. ${problems.join('; ')}.`);
}

/** Reads a bounded JSON object, answers, and says what is wrong. */
function door(
  { log, proofs, noteRefusal }: DoorDependencies,
  handle: (request: IncomingMessage, body: unknown) => Promise<object>,
): DoorAnswer {
  return async (request, response) => {
    try {
      send(response, 200, await handle(request, await readBody(request)), 'application/json');
    } catch (error) {
      if (error instanceof CredentialError && error.kind === 'use_dpop_nonce')
        response.setHeader('DPoP-Nonce', proofs.nonce());
      await noteRefused(noteRefusal, `POST ${request.url?.slice(0, 200)}`, error);
      const known =
        error instanceof CredentialError ? new GatehouseError('unauthenticated', error.code, error.message) : error;
      const { status, body } = toProblem(known);
      if (status === 500) log.error('a proof from outside could not be answered', { path: request.url, error });
      send(response, status, body, 'application/problem+json');
    }
  };
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const slow = setTimeout(() => request.destroy(), limits.requestBodyTimeoutMs);
  try {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.byteLength;
      if (size > MAX_BODY_BYTES) throw tooLarge();
      chunks.push(chunk);
    }
    const body = parseStrictJson(Buffer.concat(chunks), 12);
    if (!isJsonObject(body)) throw new GatehouseError('bad-request', 'body.invalid', 'The body is not a JSON object.');
    return body;
  } finally {
    clearTimeout(slow);
  }
}

const tooLarge = () =>
  new GatehouseError('too-large', 'body.too-large', `A request here has at most ${MAX_BODY_BYTES} bytes.`);

function send(response: ServerResponse, status: number, body: object, type: string): void {
  if (response.headersSent || response.destroyed) return;
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(text),
    ...retryAfter(status),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(response.req.complete ? {} : { Connection: 'close' }),
  });
  response.end(text);
}
