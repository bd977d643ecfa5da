import type { Enforcement, Foresight } from '../../enforcement/index.ts';
import type { Caller } from '../../identity/index.ts';
import { GatehouseError, type JsonObject } from '../../platform/index.ts';
import type { Gateway } from '../elsewhere/gateway.ts';
import { authzenLimits } from './limits.ts';
import {
  actionSearch,
  type EvaluationRequest,
  parsed,
  resourceSearch,
  type Subject,
  subjectSearch,
} from './request.ts';
import { askedOf } from './resource.ts';
import type { Subjects } from './subject.ts';

interface Dependencies {
  enforcement: Pick<Enforcement, 'usableTools'> & Foresight;
  subjects: Subjects;
}

/**
 * Searches (AuthZEN section 8). INVARIANT: found is what this gateway could be told yes about, for subjects that are proven to it, and nothing
 * else: nobody learns of a tool of another server, or of what another agent may do. Nothing is recorded, because nothing may be done on it.
 */
export function createSearch({ enforcement, subjects }: Dependencies) {
  async function callerOf(
    gateway: Gateway,
    subject: Subject,
    server: string,
    known: Pick<Subjects, 'callerOf'> = subjects,
  ): Promise<Caller | undefined> {
    try {
      return await known.callerOf(gateway, subject, server);
    } catch (error) {
      // Unknown to us, or not proven: then it may do nothing.
      if (error instanceof GatehouseError && error.status < 500) return undefined;
      throw error;
    }
  }

  const wouldBe = async (gateway: Gateway, caller: Caller, request: EvaluationRequest): Promise<boolean> => {
    const asked = askedOf(gateway, request);
    return asked.kind === 'call' && (await enforcement.foresee({ caller, ...asked.call, gateway })).effect === 'allow';
  };

  return {
    /** Those whom the gateway may name; an agent that comes with a token is nobody who could be looked for. */
    async subject(gateway: Gateway, body: JsonObject) {
      const { subject, page, ...rest } = parsed(subjectSearch, body);
      const found = [];
      for (const { type, id } of gateway.setting.subjects.filter((each) => each.type === subject.type)) {
        const { id: _, ...properties } = subject.properties ?? {};
        const request = { ...rest, subject: { type, id, properties } };
        const caller = await callerOf(gateway, request.subject, askedOf(gateway, request).server);
        if (caller && (await wouldBe(gateway, caller, request))) found.push({ type, id });
      }
      return paged(found, page);
    },

    async resource(gateway: Gateway, body: JsonObject) {
      const { resource, page, ...rest } = parsed(resourceSearch, body);
      const { type, properties } = resource;
      const mapped = gateway.setting.resources.find((each) => each.type === type);
      if (mapped) {
        const candidates = mapped.known.slice(0, authzenLimits.searchCandidates);
        const tool = Object.hasOwn(mapped.actions, rest.action.name) ? mapped.actions[rest.action.name] : undefined;
        if (tool === undefined) return paged([], page);
        const caller = await callerOf(gateway, rest.subject, tool.slice(0, tool.indexOf('/')));
        const found = [];
        for (const { id, properties: its } of caller ? candidates : []) {
          const request = { ...rest, resource: { type, id, properties: { ...properties, ...its } } };
          if (caller && (await wouldBe(gateway, caller, request))) found.push({ type, id });
        }
        return paged(found, page);
      }
      if (type !== 'tool' || rest.action.name !== 'tools/call') return paged([], page);
      const found = [];
      // A proof is good once, and a token for all of Gatehouse or for one server: so the subject is proven once.
      const [first = ''] = gateway.servers;
      const caller = await callerOf(gateway, rest.subject, gateway.servers.length === 1 ? first : '');
      if (caller?.task.environment === gateway.environment)
        for (const server of gateway.servers)
          for (const { ref } of await enforcement.usableTools(caller, server)) found.push({ type, id: ref });
      return paged(found.slice(0, authzenLimits.searchCandidates), page);
    },

    async action(gateway: Gateway, body: JsonObject) {
      const { page, ...rest } = parsed(actionSearch, body);
      const mapped = gateway.setting.resources.find((each) => each.type === rest.resource.type);
      const names = mapped ? Object.keys(mapped.actions) : ['tools/call', 'resources/read', 'prompts/get'];
      const known = subjects.perRequest();
      const found = [];
      for (const name of names) {
        const request: EvaluationRequest = { ...rest, action: { name } };
        const { server } = askedOf(gateway, request);
        if (server === '') continue;
        const caller = await callerOf(gateway, rest.subject, server, known);
        if (caller && (await wouldBe(gateway, caller, request))) found.push({ name });
      }
      return paged(found, page);
    },
  };
}

/** A token is the place after which the next page begins. */
function paged(found: object[], page: { token?: string | undefined; limit?: number | undefined } | undefined) {
  const from = page?.token === undefined || page.token === '' ? 0 : placeOf(page.token);
  const size = Math.min(page?.limit ?? authzenLimits.searchPageSize, authzenLimits.searchPageSize);
  const results = found.slice(from, from + size);
  const next = from + size < found.length ? Buffer.from(`after ${from + size}`).toString('base64url') : '';
  return { results, page: { next_token: next, count: results.length, total: found.length } };
}

function placeOf(token: string): number {
  const [, digits] = /^after (\d{1,6})$/.exec(Buffer.from(token, 'base64url').toString()) ?? [];
  if (digits === undefined)
    throw new GatehouseError('bad-request', 'page.token', 'This page token is none of ours. Search again without it.');
  return Number(digits);
}
