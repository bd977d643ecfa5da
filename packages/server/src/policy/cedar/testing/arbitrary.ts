import type { CedarValueJson, EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import fc from 'fast-check';

/**
 * Policies as text, over all of Cedar's expressions, and requests for them. Values come from small pools, so that what is compared is
 * often equal, found and in reach; now and then an operand has a wrong type, because errors are part of what engines must agree on.
 */
type Kind = 'bool' | 'long' | 'string' | 'entity' | 'set' | 'record' | 'ip' | 'decimal' | 'datetime' | 'duration';
const kinds: Kind[] = ['bool', 'long', 'string', 'entity', 'set', 'record', 'ip', 'decimal', 'datetime', 'duration'];

const of = (...texts: string[]) => fc.constantFrom(...texts);
const quoted = (text: string) => JSON.stringify(text);

const names = ['a', 'b', 'has space', '__proto__', 'toString', 'é'];
const texts = ['', 'a', 'ab', 'abc', 'a*b', 'constructor', 'naïve', '\u{1F600}x'];
const longs = [
  '0',
  '1',
  '2',
  '-1',
  '3',
  '9007199254740991',
  '9007199254740993',
  '-9007199254740993',
  '4611686018427387904',
  '9223372036854775807',
  '-9223372036854775807',
  '-9223372036854775808',
];
export const ips = [
  '127.0.0.1',
  '10.0.0.0/8',
  '10.1.2.3',
  '224.0.0.7',
  '239.0.0.0/3',
  '239.1.0.0/16',
  '10.0.0.0/7',
  '::1',
  'ff00::/8',
  'fe80::1/64',
  '1.2.3',
  '01.2.3.4',
  '::ffff:1.2.3.4',
  '',
];
export const decimals = [
  '0.0',
  '1.0',
  '1.0000',
  '-0.5',
  '12.3456',
  '1.23456',
  '922337203685477.5807',
  '-922337203685477.5808',
  '922337203685477.5808',
  '1',
  '.5',
  'x',
];
export const datetimes = [
  '1970-01-01',
  '2024-02-29',
  '2023-02-29',
  '2024-10-15T11:38:02Z',
  '2024-10-15T11:38:02.101Z',
  '2024-10-15T11:38:02.101+0130',
  '2024-10-15T10:08:02.101Z',
  '2024-10-15T11:38:02.101-0130',
  '2024-10-15T13:08:02.101Z',
  '1969-12-31T23:59:59.999Z',
  '2024-10-15T24:00:00Z',
  '2024-10-15T11:38:02',
  '0000-01-01T00:00:00-2359',
  '9999-12-31T23:59:59.999Z',
  '2024-1-1',
];
export const durations = [
  '0ms',
  '1d2h3m4s5ms',
  '-1d',
  '-90m',
  '-1ms',
  '1h',
  '90m',
  '9223372036854775807ms',
  '-9223372036854775808ms',
  '1d1d',
  '1s1m',
  '',
  '-',
  '106751991168d',
];
const entityTexts = [
  'User::"alice"',
  'User::"bob"',
  'User::"nobody"',
  'Group::"staff"',
  'Group::"all"',
  'Doc::"one"',
  'Doc::"two"',
  'Action::"read"',
  'Action::"any"',
];

/** Texts of boolean expressions. One operand in `stray` or so is of whatever kind. */
function expressions(maxDepth: number, stray: number): fc.Arbitrary<string> {
  const depth = fc.createDepthIdentifier();
  return fc.letrec<Record<Kind | 'expression', string>>((tie) => {
    /** Mostly of the kind that is wanted. */
    const some = (kind: Kind) =>
      fc.oneof(
        { weight: stray, arbitrary: tie(kind) },
        { weight: 1, arbitrary: fc.constantFrom(...kinds).chain((other) => tie(other)) },
      );
    const binary = (kind: Kind, ...operators: string[]) =>
      fc
        .tuple(some(kind), of(...operators), some(kind))
        .map(([left, operator, right]) => `(${left} ${operator} ${right})`);
    const method = (kind: Kind, name: string, ...args: Kind[]) =>
      fc.tuple(some(kind), ...args.map(some)).map(([self, ...given]) => `(${self}).${name}(${given.join(', ')})`);
    const choice = (kind: Kind) =>
      fc
        .tuple(some('bool'), some(kind), some(kind))
        .map(([condition, then, otherwise]) => `(if ${condition} then ${then} else ${otherwise})`);
    const attribute = fc
      .tuple(fc.oneof(some('entity'), some('record'), fc.constant('context')), of(...names))
      .map(([owner, name]) => `(${owner})[${quoted(name)}]`);
    const tag = fc.tuple(some('entity'), some('string')).map(([owner, name]) => `(${owner}).getTag(${name})`);
    const kind = (leaf: fc.Arbitrary<string>, kindName: Kind, ...more: fc.Arbitrary<string>[]) =>
      fc.oneof(
        { maxDepth, depthIdentifier: depth, withCrossShrink: true },
        leaf,
        ...more,
        choice(kindName),
        attribute,
        tag,
      );
    const any = fc.constantFrom(...kinds).chain((each) => tie(each));
    const call = (name: string, pool: string[]) => of(...pool).map((text) => `${name}(${quoted(text)})`);
    return {
      expression: tie('bool'),
      bool: kind(
        of('true', 'false'),
        'bool',
        binary('bool', '&&', '||', '==', '!='),
        binary('long', '<', '<=', '>', '>=', '==', '!='),
        binary('string', '==', '!='),
        binary('set', '==', '!='),
        binary('record', '=='),
        binary('ip', '=='),
        binary('decimal', '=='),
        binary('datetime', '<', '<=', '>', '>=', '=='),
        binary('duration', '<', '<=', '>', '>=', '=='),
        fc.tuple(any, any).map(([left, right]) => `(${left} == ${right})`),
        some('bool').map((each) => `!(${each})`),
        fc
          .tuple(some('entity'), fc.oneof(some('entity'), some('set')))
          .map(([left, right]) => `((${left}) in (${right}))`),
        fc.tuple(some('entity'), of('User', 'Group', 'Doc')).map(([left, type]) => `((${left}) is ${type})`),
        fc
          .tuple(some('entity'), of('User', 'Group', 'Doc'), some('entity'))
          .map(([left, type, group]) => `((${left}) is ${type} in (${group}))`),
        fc
          .tuple(fc.oneof(some('entity'), some('record')), of(...names))
          .map(([owner, name]) => `((${owner}) has ${quoted(name)})`),
        fc
          .tuple(fc.oneof(some('entity'), some('record')), of('a.b', 'b.a.b'))
          .map(([owner, path]) => `((${owner}) has ${path})`),
        fc
          .tuple(some('string'), of('', '*', 'a*', '*b', 'a*c', '*b*', 'a\\*b', 'a**c', '*a*b*'))
          .map(([text, pattern]) => `((${text}) like "${pattern}")`),
        method('set', 'contains', 'long'),
        method('set', 'contains', 'entity'),
        method('set', 'containsAll', 'set'),
        method('set', 'containsAny', 'set'),
        method('set', 'isEmpty'),
        method('entity', 'hasTag', 'string'),
        method('ip', 'isIpv4'),
        method('ip', 'isIpv6'),
        method('ip', 'isLoopback'),
        method('ip', 'isMulticast'),
        method('ip', 'isInRange', 'ip'),
        method('decimal', 'lessThan', 'decimal'),
        method('decimal', 'lessThanOrEqual', 'decimal'),
        method('decimal', 'greaterThan', 'decimal'),
        method('decimal', 'greaterThanOrEqual', 'decimal'),
      ),
      long: kind(
        of(...longs).map((each) => `(${each})`),
        'long',
        binary('long', '+', '-', '*'),
        some('long').map((each) => `-(${each})`),
        ...['toMilliseconds', 'toSeconds', 'toMinutes', 'toHours', 'toDays'].map((name) => method('duration', name)),
      ),
      string: kind(of(...texts.map(quoted)), 'string'),
      entity: kind(of(...entityTexts, 'principal', 'action', 'resource'), 'entity'),
      set: kind(
        of(
          '[]',
          '[1, 2, 3]',
          '[3, 2, 1, 1]',
          '["a", "b"]',
          '[Group::"staff", Group::"all"]',
          '[1,2,3,4,5,6,7,8,9,10,11,12]',
        ),
        'set',
        fc.array(any, { maxLength: 3 }).map((elements) => `[${elements.join(', ')}]`),
        fc.array(some('entity'), { maxLength: 3 }).map((elements) => `[${elements.join(', ')}]`),
      ),
      record: kind(
        of('context', '{}', '{"a": 1}', '{"a": {"b": 2}, "b": [1]}'),
        'record',
        fc
          .uniqueArray(fc.tuple(of(...names), any), { maxLength: 3, selector: ([name]) => name })
          .map((members) => `{${members.map(([name, value]) => `${quoted(name)}: ${value}`).join(', ')}}`),
      ),
      ip: kind(call('ip', ips), 'ip'),
      decimal: kind(call('decimal', decimals), 'decimal'),
      datetime: kind(
        call('datetime', datetimes),
        'datetime',
        method('datetime', 'offset', 'duration'),
        method('datetime', 'toDate'),
      ),
      duration: kind(
        call('duration', durations),
        'duration',
        method('datetime', 'durationSince', 'datetime'),
        method('datetime', 'toTime'),
      ),
    };
  }).expression;
}

const scopeOf = (variable: string, all: string[], types: string[]) =>
  fc.oneof(
    { weight: 3, arbitrary: of(variable) },
    { weight: 2, arbitrary: of(...all).map((each) => `${variable} == ${each}`) },
    { weight: 2, arbitrary: of(...all).map((each) => `${variable} in ${each}`) },
    { weight: 1, arbitrary: of(...types).map((type) => `${variable} is ${type}`) },
    {
      weight: 1,
      arbitrary: fc.tuple(of(...types), of(...all)).map(([type, each]) => `${variable} is ${type} in ${each}`),
    },
  );

const actionScope = fc.oneof(
  of('action', 'action == Action::"read"', 'action in Action::"any"', 'action == Action::"write"'),
  fc
    .uniqueArray(of('Action::"read"', 'Action::"write"', 'Action::"any"'), { minLength: 1, maxLength: 3 })
    .map((some) => `action in [${some.join(', ')}]`),
);

export const policyText: fc.Arbitrary<string> = fc
  .record({
    effect: of('permit', 'permit', 'forbid'),
    principal: scopeOf('principal', entityTexts.slice(0, 5), ['User', 'Group']),
    action: actionScope,
    resource: scopeOf('resource', entityTexts.slice(3, 7), ['Doc', 'Group']),
    conditions: fc.array(fc.tuple(of('when', 'unless'), expressions(4, 24)), { maxLength: 2 }),
  })
  .map(
    ({ effect, principal, action, resource, conditions }) =>
      `${effect}(${principal}, ${action}, ${resource})${conditions.map(([kind, body]) => ` ${kind} { ${body} }`).join('')};`,
  );

/** About everything, with one small condition: many of them are asked at once, and each shows by itself whether it holds. */
export const conditionText: fc.Arbitrary<string> = expressions(2, 60).map(
  (body) => `permit(principal, action, resource) when { ${body} };`,
);

const user = (id: string) => ({ type: 'User', id });
const value: fc.Arbitrary<CedarValueJson> = fc.letrec<{ value: CedarValueJson }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.boolean(),
    fc.constantFrom(0, 1, 2, -1, Number.MAX_SAFE_INTEGER),
    fc.constantFrom(...texts),
    fc.constantFrom(user('alice'), { type: 'Group', id: 'staff' }).map((uid) => ({ __entity: uid })),
    fc.constantFrom(...ips.slice(0, 6)).map((arg) => ({ __extn: { fn: 'ip', arg } })),
    fc.constantFrom(...decimals.slice(0, 5)).map((arg) => ({ __extn: { fn: 'decimal', arg } })),
    fc.constantFrom(...datetimes.slice(0, 2)).map((arg) => ({ __extn: { fn: 'datetime', arg } })),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b'), tie('value'), { maxKeys: 2 }),
  ),
})).value;

export interface RequestJson {
  principal: TypeAndId;
  action: TypeAndId;
  resource: TypeAndId;
  context: Record<string, CedarValueJson>;
}

const attributes = fc.dictionary(fc.constantFrom(...names.filter((name) => name !== '__proto__')), value, {
  maxKeys: 4,
});

/** A hierarchy of three levels with attributes and tags. What policies call `User::"nobody"` is not in it. */
export const entitiesJson: fc.Arbitrary<EntityJson[]> = fc
  .array(fc.tuple(attributes, attributes), { minLength: 5, maxLength: 5 })
  .map((given) => {
    const all = { type: 'Group', id: 'all' };
    const staff = { type: 'Group', id: 'staff' };
    const parents: [TypeAndId, TypeAndId[]][] = [
      [user('alice'), [staff]],
      [user('bob'), []],
      [staff, [all]],
      [{ type: 'Doc', id: 'one' }, [{ type: 'Doc', id: 'two' }, staff]],
      [{ type: 'Doc', id: 'two' }, []],
    ];
    return [
      ...parents.map(([uid, above], at) => ({
        uid,
        parents: above,
        attrs: given[at]?.[0] ?? {},
        tags: given[at]?.[1] ?? {},
      })),
      { uid: { type: 'Action', id: 'read' }, parents: [{ type: 'Action', id: 'any' }], attrs: {} },
    ];
  });

export const requestJson: fc.Arbitrary<RequestJson> = fc.record({
  principal: fc.constantFrom(user('alice'), user('bob'), user('nobody'), { type: 'Group', id: 'staff' }),
  action: fc.constantFrom({ type: 'Action', id: 'read' }, { type: 'Action', id: 'write' }),
  resource: fc.constantFrom({ type: 'Doc', id: 'one' }, { type: 'Doc', id: 'two' }, { type: 'Group', id: 'all' }),
  context: attributes,
});
