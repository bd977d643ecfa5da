import { type EntityJson, preparsePolicySet, statefulIsAuthorized } from '@cedar-policy/cedar-wasm/nodejs';
import {
  compileSet,
  type EntityData,
  LazyRecord,
  type Member,
  parsePolicy,
  readUid,
  readValue,
  type Value,
} from '../index.ts';
import type { RequestJson } from './arbitrary.ts';

/** What one engine says of a request, in a form in which two can be compared: messages are each engine's own. */
export interface Verdict {
  decision: 'allow' | 'deny';
  reason: string[];
  errors: string[];
}

/** The verdicts of the compiled set, of its slice for this request (which is asked as the server asks it), and of the official engine. */
export function verdicts(
  policies: readonly string[],
  entities: readonly EntityJson[],
  requests: readonly RequestJson[],
): { compiled: Verdict; sliced: Verdict; official: Verdict }[] {
  const texts = Object.fromEntries(policies.map((text, at) => [`p${at}`, text]));
  const prepared = preparsePolicySet('compared', { staticPolicies: texts });
  if (prepared.type === 'failure') throw new Error(prepared.errors.map(({ message }) => message).join('; '));
  const set = compileSet(
    policies.map((text, at) => {
      const parsed = parsePolicy(text);
      if ('problem' in parsed) throw new Error(parsed.problem);
      return { id: `p${at}`, json: parsed.json };
    }),
  );
  const store = entityStore(entities);
  return requests.map(({ principal, action, resource, context }) => {
    const environment = {
      principal: readUid(principal),
      action: readUid(action),
      resource: readUid(resource),
      context: record(context),
      entities: store,
    };
    const answer = statefulIsAuthorized({
      principal,
      action,
      resource,
      context,
      preparsedPolicySetId: 'compared',
      entities: [...entities],
    });
    if (answer.type === 'failure') throw new Error(answer.errors.map(({ message }) => message).join('; '));
    const { decision, diagnostics } = answer.response;
    const slice = set.slice(environment);
    const asked = { ...environment, context: lazyRecord(context) };
    slice.authorize(environment);
    return {
      compiled: verdict(set.authorize(environment)),
      sliced: verdict(slice.authorize(asked)),
      official: verdict({ decision, ...diagnostics }),
    };
  });
}

export function verdict(answer: {
  decision: Verdict['decision'];
  reason: readonly string[];
  errors: readonly { policyId: string }[];
}): Verdict {
  return {
    decision: answer.decision,
    reason: answer.reason.toSorted(),
    errors: answer.errors.map(({ policyId }) => policyId).toSorted(),
  };
}

/** From Cedar's JSON form, with all that each entity is in. */
export function entityStore(
  entities: readonly EntityJson[],
  read: (json: unknown) => Value = readValue,
): Map<string, EntityData> {
  const parents = new Map(
    entities.map(({ uid, parents: above }) => [readUid(uid).key, above.map((each) => readUid(each).key)]),
  );
  const ancestorsOf = (key: string) => {
    const found = new Set<string>();
    const todo = [...(parents.get(key) ?? [])];
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      if (found.has(next)) continue;
      found.add(next);
      todo.push(...(parents.get(next) ?? []));
    }
    return found;
  };
  return new Map(
    entities.map(({ uid, attrs, tags }) => {
      const { key } = readUid(uid);
      return [key, { attrs: record(attrs, read), tags: record(tags ?? {}, read), ancestors: ancestorsOf(key) }];
    }),
  );
}

function record(members: Record<string, unknown>, read: (json: unknown) => Value = readValue): Map<string, Value> {
  return new Map(Object.entries(members).map(([name, member]) => [name, read(member)]));
}

function lazyRecord(members: Record<string, unknown>): LazyRecord<Record<string, unknown>> {
  const read = (name: string): Member<Record<string, unknown>> => {
    return (source) => (isPlain(source[name]) ? lazyRecord(source[name]) : readValue(source[name]));
  };
  return new LazyRecord(members, new Map(Object.keys(members).map((name) => [name, read(name)])));
}

const isPlain = (json: unknown): json is Record<string, unknown> =>
  typeof json === 'object' && json !== null && !Array.isArray(json) && !('__entity' in json) && !('__extn' in json);
