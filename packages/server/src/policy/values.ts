import { isJsonObject, type Json, type JsonObject } from '../platform/index.ts';
import { type CedarRecord, CedarSet, LazyRecord, type Member, type Value } from './cedar/index.ts';
import type { ArgumentsType, ArgumentType } from './schema.ts';
import { situationMembers } from './situation.ts';
import type { PolicyRequest } from './types.ts';

/** How a request to one subject is seen by policies; made once for each subject. */
export interface Contexts {
  /**
   * Why the arguments do not fit their types. Such a call is refused: a value that does not fit is never left out, because a missing
   * argument may be what a forbid looks for.
   */
  problem(arguments_: Json): string | undefined;
  /** The context of a request whose arguments fit: exactly the arguments that the schema types, and what is known around the call. */
  of(request: Asked): CedarRecord;
}

type Asked = Pick<PolicyRequest, 'arguments' | 'situation'>;

export function contextsOf(type: ArgumentsType): Contexts {
  const isUnfit = unfitRecord(type);
  const read = recordOf(type);
  const members = new Map<string, Member<Asked>>([
    ['arguments', (asked) => read(isJsonObject(asked.arguments) ? asked.arguments : {})],
    ...Object.entries(situationMembers).map(
      ([name, member]) => [name, (asked: Asked) => member(asked.situation)] as const,
    ),
  ]);
  return {
    problem(value) {
      const problem = isUnfit(isJsonObject(value) ? value : {});
      return problem === undefined ? undefined : `arguments${problem}`;
    },
    of: (asked) => new LazyRecord(asked, members),
  };
}

/** What of a value does not fit, where, and why; undefined when all does. */
type Unfit<T> = (value: T) => string | undefined;

function unfitRecord(type: ArgumentsType): Unfit<JsonObject> {
  const members = Object.entries(type).map(([key, { type: each, required }]) => ({
    key,
    required,
    isText: each.kind === 'String',
    isUnfit: unfit(each),
    isInherited: key in Object.prototype,
  }));
  return (value) => {
    for (const { key, required, isText, isUnfit, isInherited } of members) {
      const member = isInherited && !Object.hasOwn(value, key) ? undefined : value[key];
      // Most are texts: no step in between.
      if (isText && typeof member === 'string') continue;
      if (member === undefined) {
        if (required) return `.${key} is missing`;
        continue;
      }
      const problem = isUnfit(member);
      if (problem !== undefined) return `.${key}${problem}`;
    }
    return undefined;
  };
}

function unfit(type: ArgumentType): Unfit<Json> {
  switch (type.kind) {
    case 'String':
      return (value) => (typeof value === 'string' ? undefined : ' is not a string');
    case 'Boolean':
      return (value) => (typeof value === 'boolean' ? undefined : ' is not a boolean');
    case 'Long':
      return (value) =>
        Number.isSafeInteger(value) ? undefined : ' is not a whole number that can be written exactly';
    case 'Set': {
      const isUnfit = unfit(type.element);
      return (value) => {
        if (!Array.isArray(value)) return ' is not a list';
        for (let at = 0; at < value.length; at++) {
          const problem = isUnfit(value[at] as Json);
          if (problem !== undefined) return `[${at}]${problem}`;
        }
        return undefined;
      };
    }
    case 'Record': {
      const isUnfit = unfitRecord(type.attributes);
      return (value) => (isJsonObject(value) ? isUnfit(value) : ' is not a record');
    }
  }
}

function recordOf(type: ArgumentsType): (value: JsonObject) => CedarRecord {
  const members = new Map(
    Object.entries(type).map(([key, { type: each }]): [string, Member<JsonObject>] => {
      const memberOf = ownMember(key);
      if (each.kind === 'String' || each.kind === 'Boolean') return [key, memberOf as Member<JsonObject>];
      const read = reader(each);
      return [
        key,
        (value) => {
          const member = memberOf(value);
          return member === undefined ? undefined : read(member);
        },
      ];
    }),
  );
  return (value) => new LazyRecord(value, members);
}

/** Of a value that fits. */
function reader(type: ArgumentType): (value: Json) => Value {
  switch (type.kind) {
    case 'String':
    case 'Boolean':
      return (value) => value as string | boolean;
    case 'Long':
      // + 0: JSON has a -0, which Cedar has not.
      return (value) => (value as number) + 0;
    case 'Set': {
      const read = reader(type.element);
      return (value) => new CedarSet((value as Json[]).map(read));
    }
    case 'Record': {
      const read = recordOf(type.attributes);
      return (value) => read(value as JsonObject);
    }
  }
}

/** Only what every object answers to has to be looked for among the object's own. */
function ownMember(key: string): (value: JsonObject) => Json | undefined {
  if (key in Object.prototype) return (value) => (Object.hasOwn(value, key) ? value[key] : undefined);
  return (value) => value[key];
}
