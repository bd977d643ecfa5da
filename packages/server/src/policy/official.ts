import {
  type CedarValueJson,
  type EntityJson,
  type PolicyJson,
  preparsePolicySet,
  statefulIsAuthorized,
} from '@cedar-policy/cedar-wasm/nodejs';
import { GatehouseError } from '../platform/index.ts';
import {
  type Answer,
  CedarSet,
  Datetime,
  EntityUid,
  type Environment,
  IpAddress,
  isRecord,
  type Value,
} from './cedar/index.ts';
import type { Entity } from './entities.ts';

/**
 * The official engine, asked the same: what decides here is compared with it. It is some hundred times slower, so that only a sample of
 * what happens is.
 */
export interface Official {
  authorize(environment: Environment, entities: readonly Entity[]): Answer;
}

export type OfficialEngine = (policies: readonly { id: string; source: string | PolicyJson }[]) => Official;

/** The engine keeps pre-parsed sets by name and never lets go of one: a bounded ring of names is used over and over. */
const slots: (Official | undefined)[] = [];
const MAX_SLOTS = 256;
let nextSlot = 0;

export const officialEngine: OfficialEngine = (policies) => {
  let slot: number | undefined;
  const official: Official = {
    authorize({ principal, action, resource, context }, entities) {
      if (slot === undefined || slots[slot] !== official) slot = prepare();
      const answer = statefulIsAuthorized({
        principal: uidJson(principal),
        action: uidJson(action),
        resource: uidJson(resource),
        context: toJson(context) as Record<string, CedarValueJson>,
        preparsedPolicySetId: `slot-${slot}`,
        entities: entities.map(entityJson),
      });
      if (answer.type === 'failure') {
        const message = answer.errors.map((error) => error.message).join('; ');
        return { decision: 'deny', reason: [], errors: [{ policyId: '', message }] };
      }
      const { decision, diagnostics } = answer.response;
      return {
        decision,
        reason: diagnostics.reason,
        errors: diagnostics.errors.map(({ policyId, error }) => ({ policyId, message: error.message })),
      };
    },
  };
  return official;

  function prepare(): number {
    const taken = nextSlot;
    nextSlot = (nextSlot + 1) % MAX_SLOTS;
    const answer = preparsePolicySet(`slot-${taken}`, {
      staticPolicies: Object.fromEntries(policies.map(({ id, source }) => [id, source])),
    });
    if (answer.type === 'failure')
      throw new GatehouseError(
        'internal',
        'policy.prepare',
        `Policies cannot be prepared: ${answer.errors[0]?.message}`,
      );
    slots[taken] = official;
    return taken;
  }
};

/** Whether two engines say the same: the decision, what it rests on, and what could not be evaluated. Messages are their own. */
export function isSameAnswer(left: Answer, right: Answer): boolean {
  const ids = ({ decision, reason, errors }: Answer) =>
    JSON.stringify([decision, [...reason].sort(), errors.map(({ policyId }) => policyId).sort()]);
  return ids(left) === ids(right);
}

const uidJson = ({ type, id }: EntityUid) => ({ type, id });

function entityJson({ uid, data }: Entity): EntityJson {
  return {
    uid: uidJson(uid),
    parents: [...data.ancestors].map((key) => {
      const blank = key.indexOf(' ');
      return { type: key.slice(0, blank), id: key.slice(blank + 1) };
    }),
    attrs: toJson(data.attrs) as Record<string, CedarValueJson>,
  };
}

/** Of what requests hold: strings, booleans, exact whole numbers, sets, records and names of entities. */
function toJson(value: Value): CedarValueJson {
  if (value instanceof EntityUid) return { __entity: uidJson(value) };
  if (value instanceof CedarSet) return value.elements.map(toJson);
  if (value instanceof Datetime)
    return { __extn: { fn: 'datetime', arg: new Date(Number(value.value)).toISOString() } };
  if (value instanceof IpAddress) return { __extn: { fn: 'ip', arg: value.text } };
  if (isRecord(value)) return Object.fromEntries([...value].map(([name, member]) => [name, toJson(member)]));
  if (typeof value === 'object' || typeof value === 'bigint') throw new TypeError('a request holds no such value');
  return value;
}
