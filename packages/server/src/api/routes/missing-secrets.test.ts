import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Manifest, manifest, name, ownSecretName, secretName, secretsNamedIn } from '@gatehouse/protocol';
import type { z } from 'zod';

type Node = { _zod: { def: Record<string, unknown> } };

/** Every place in a schema, with what it is called there. */
function* placesIn(schema: Node, path: string[], seen: ReadonlySet<Node>): Generator<[string[], Node]> {
  if (seen.has(schema)) return;
  yield [path, schema];
  const { shape, element, valueType, options, innerType, in: inner } = schema._zod.def;
  const below = new Set([...seen, schema]);
  for (const [key, member] of Object.entries((shape ?? {}) as Record<string, Node>))
    yield* placesIn(member, [...path, key], below);
  for (const each of [element, valueType, innerType, inner, ...((options ?? []) as Node[])])
    if (each) yield* placesIn(each as Node, path, below);
}

const isCalledSo = /^(secret|.*Secret|password|token|.*Token|clientKey|assertion|key|address)$/;

/** @proves apply.secrets */
test('whatever in a manifest is called like a secret and is a name is known to name a stored one', () => {
  const named = manifest.options.flatMap((option) => [
    ...placesIn(option as unknown as Node, [option.shape.kind.value], new Set()),
  ]);
  const suspicious = named.filter(
    ([path, schema]) => schema === (name as unknown as Node) && isCalledSo.test(path.at(-1) ?? ''),
  );
  assert.deepEqual(
    suspicious.map(([path]) => path.join('.')),
    [],
  );
  const marked = named.filter(([, schema]) =>
    [secretName, ownSecretName].includes(schema as unknown as typeof secretName),
  );
  const kinds = new Set(marked.map(([[kind]]) => kind));
  assert.deepEqual([...kinds].sort(), [
    'Channel',
    'CredentialProvider',
    'Detector',
    'IdentityProvider',
    'Sink',
    'TicketSystem',
    'ToolServer',
  ]);
});

const referencesOf = (input: z.input<typeof manifest>): unknown[] =>
  secretsNamedIn(manifest.parse(input) as Manifest).map(({ secret, path, destinations }) => [
    secret,
    path,
    destinations,
  ]);

/** @proves apply.secrets */
test('each is found with the address that it has to be stored for', () => {
  const provider = (from: object) =>
    ({ kind: 'CredentialProvider', name: 'p', environments: ['prod'], from }) as z.input<typeof manifest>;
  const database = { type: 'postgres', url: 'postgres://broker@db.example.test:5433/shop', secret: 'broker' };
  assert.deepEqual(referencesOf(provider({ ...database, grants: [{ tables: ['orders'], privileges: ['SELECT'] }] })), [
    ['broker', 'from.secret', ['postgres://db.example.test:5433']],
  ]);
  const kept = { type: 'static', parts: { token: 'crm#key' }, for: ['https://crm.example.test'] };
  assert.deepEqual(referencesOf(provider({ ...kept, in: { type: 'store' } })), [
    ['crm', 'from.parts.token', ['https://crm.example.test']],
  ]);
  assert.deepEqual(referencesOf(provider({ ...kept, in: { type: 'files' } })), []);
  const channel = (more: object) => ({ kind: 'Channel', name: 'c', ...more }) as z.input<typeof manifest>;
  assert.deepEqual(
    referencesOf(
      channel({ webhook: { url: 'https://hook.example.test/in', secret: 'signs', answerSecret: 'answers' } }),
    ),
    [
      ['signs', 'webhook.secret', ['https://hook.example.test']],
      ['answers', 'webhook.answerSecret', 'own'],
    ],
  );
  const tool = (authorization: object) =>
    ({
      ...{ kind: 'ToolServer', name: 's', environments: ['prod'], tools: {} },
      transport: { type: 'http', url: 'https://tools.example.test/mcp', authorization },
    }) as z.input<typeof manifest>;
  const signIn = { grant: 'client_credentials', clientId: 'c', clientSecret: 'client' };
  // Which authorization server it is only the tool server says.
  assert.deepEqual(referencesOf(tool(signIn)), [['client', 'transport.authorization.clientSecret', null]]);
  assert.deepEqual(referencesOf(tool({ ...signIn, issuer: 'https://login.example.test/realm' })), [
    ['client', 'transport.authorization.clientSecret', ['https://login.example.test']],
  ]);
  const syslog = { type: 'syslog', url: 'tls://siem.example.test:6514' };
  const clientCertificate = { certificate: 'PEM', keySecret: 'syslog-key' };
  assert.deepEqual(
    referencesOf({ kind: 'Sink', name: 'siem', format: 'ocsf', to: { ...syslog, clientCertificate } } as never),
    [['syslog-key', 'to.clientCertificate.keySecret', ['https://siem.example.test:6514']]],
  );
});
