import { name } from '@gatehouse/protocol';
import type { IssueForTools, Principal, SvidSubject } from './types.ts';

/** SPIFFE-ID §2: `spiffe://TRUST-DOMAIN/path`, read in exactly one way and never normalised. */
export interface SpiffeId {
  trustDomain: string;
  /** With its leading slash; empty for the ID of the trust domain itself. */
  path: string;
}

/** SPIFFE-ID §2.3. */
const MAX_ID_BYTES = 2_048;
const MAX_TRUST_DOMAIN_BYTES = 255;
const TRUST_DOMAIN = /^[a-z0-9._-]+$/;
const SEGMENT = /^[A-Za-z0-9._-]+$/;

/** The text is not a SPIFFE ID. The message is public. */
export class MalformedSpiffeId extends Error {
  override readonly name = 'MalformedSpiffeId';
}

export function parseSpiffeId(text: string): SpiffeId {
  if (text.length > MAX_ID_BYTES) throw new MalformedSpiffeId(`it is longer than ${MAX_ID_BYTES} bytes`);
  if (!text.startsWith('spiffe://')) throw new MalformedSpiffeId('it does not begin with spiffe://');
  const rest = text.slice('spiffe://'.length);
  const slash = rest.indexOf('/');
  const trustDomain = slash === -1 ? rest : rest.slice(0, slash);
  const path = slash === -1 ? '' : rest.slice(slash);
  if (!isTrustDomain(trustDomain))
    throw new MalformedSpiffeId(
      'its trust domain is not made of lower-case letters, digits, dots, hyphens and underscores',
    );
  for (const segment of path.split('/').slice(1)) {
    if (segment === '') throw new MalformedSpiffeId('its path has an empty segment');
    if (segment === '.' || segment === '..') throw new MalformedSpiffeId('its path has a relative segment');
    if (!SEGMENT.test(segment))
      throw new MalformedSpiffeId('its path has other characters than letters, digits, dots, hyphens and underscores');
  }
  return { trustDomain, path };
}

export const isTrustDomain = (text: string): boolean =>
  text.length <= MAX_TRUST_DOMAIN_BYTES && TRUST_DOMAIN.test(text);

/** `…/agent/NAME`, `…/agent/NAME/task/ID`, `…/workload/NAME`. */
export function spiffeIdOf(subject: SvidSubject): string {
  if ('workload' in subject) return subject.workload.spiffeId;
  const { agent, task } = subject;
  return task ? `${agent.spiffeId}/task/${task.id}` : agent.spiffeId;
}

/** INVARIANT: `principalOfPath` knows neither, so that no door takes it for the agent. */
export const toolsIdOf = (trustDomain: string, { environment, agent, task, provider }: IssueForTools): string =>
  agent === ''
    ? `spiffe://${trustDomain}/env/${environment}${GATEHOUSE_PATH}/test`
    : `spiffe://${trustDomain}/env/${environment}/agent/${agent}/task/${task}/credential/${provider}`;

export const GATEHOUSE_PATH = '/gatehouse';
const AGENT = /^\/env\/([^/]+)\/agent\/([^/]+)(?:\/task\/(tsk_[0-9a-z]+))?$/;
const WORKLOAD = /^\/env\/([^/]+)\/workload\/([^/]+)$/;

/** Whom a path of our own trust domain names; undefined for paths that we never give. */
export function principalOfPath(path: string): Principal | undefined {
  if (path === GATEHOUSE_PATH) return { kind: 'gatehouse' };
  const [, environment, agent, task] = AGENT.exec(path) ?? [];
  if (environment && agent && isName(environment) && isName(agent))
    return { kind: 'agent', environment, name: agent, task: task ?? null };
  const [, of, workload] = WORKLOAD.exec(path) ?? [];
  if (of && workload && isName(of) && isName(workload)) return { kind: 'workload', environment: of, name: workload };
  return undefined;
}

const isName = (text: string) => name.safeParse(text).success;
