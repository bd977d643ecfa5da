import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ActionRecord, sinkFormat } from '@gatehouse/protocol';
import fc from 'fast-check';
import { canonicalJson, sha256Hex } from '../../platform/index.ts';
import { encode } from './formats/index.ts';
import { ocsfClasses, ocsfRules } from './formats/ocsf-classes.ts';
import { frameOf, messageOf } from './sinks/syslog.ts';
import { ocsfProblems } from './testing/ocsf-schema.ts';
import { outgoing } from './testing/records.ts';

const surroundings = { version: '1.2.3' };

/** Texts that an agent, a tool server or a person could choose, with what ends lines, fields, frames and strings. */
const hostile = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc
      .array(
        fc.constantFrom(
          '\n',
          '\r\n',
          '\0',
          '|',
          '=',
          '\\',
          '"',
          ']',
          '[',
          ' ',
          '\u2028',
          '\u0085',
          '\u202e',
          '\u200b',
          '\ufeff',
          '<14>1 ',
          '12 <14>1 - - - - - - x',
          'CEF:0|a|b|c|d|e|9|',
          '\\n',
          ' act=allow',
          '}',
          '{"log":',
          '\ud800',
          'é',
          '😀',
          '\u001b[31m',
        ),
        { maxLength: 12 },
      )
      .map((parts) => parts.join('')),
  )
  // As the ledger has it done before anything is recorded.
  .map((text) => text.toWellFormed());

const anyRecord: fc.Arbitrary<Partial<ActionRecord>> = fc.record({
  kind: fc.constantFrom('request', 'dispatch', 'outcome', 'change'),
  operation: fc.oneof(
    fc.constantFrom('tools/call', 'resources/read', 'manifest.apply', 'unheard.of'),
    fc.constantFrom(...ocsfRules.flatMap(({ operations }) => operations).map((each) => each.replace(/\.$/, '.any'))),
    hostile,
  ),
  agent: fc.option(fc.constantFrom('agent-a', 'agent-b')),
  task: fc.option(hostile),
  intent: fc.option(hostile),
  tool: fc.option(fc.oneof(fc.constant('shop/refund'), hostile)),
  resource: fc.option(hostile),
  model: fc.option(hostile),
  model_provider: fc.option(hostile),
  requested_by: fc.option(
    fc.oneof(
      fc.constant('person:ada@example.test'),
      hostile,
      hostile.map((text) => `person:${text}`),
    ),
  ),
  on_behalf_of: fc.option(fc.oneof(fc.constant('person:ben@example.test'), hostile)),
  actor_chain: fc.array(fc.record({ sub: hostile, profile: fc.constantFrom('ai_agent' as const, 'user' as const) }), {
    maxLength: 3,
  }),
  decision: fc.option(
    fc.record({
      effect: fc.constantFrom('allow' as const, 'deny' as const, 'needs-approval' as const),
      tier: fc.constantFrom(1 as const, 2 as const, 3 as const, 4 as const),
      code: hostile,
      reason: hostile,
      policies: fc.array(fc.oneof(fc.constant('gatehouse/flow#sensitive-out'), hostile), { maxLength: 3 }),
      policyVersion: fc.constant('v1'),
    }),
  ),
  labels: fc.array(hostile, { maxLength: 3 }),
  result: fc.option(fc.constantFrom('success' as const, 'failure' as const, 'anomalous' as const, 'unknown' as const)),
  changes: fc.array(hostile, { maxLength: 3 }),
  detail: fc.option(hostile),
});

/** What ends a line for one reader or another, or moves what is seen. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
const breaksOut = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b\ufeff]/;

/** @proves export.one-event */
test('in every format a record is one line, whatever the texts in it are, and JSON gives the texts back', () => {
  fc.assert(
    fc.property(anyRecord, fc.constantFrom(...sinkFormat.options), (more, format) => {
      const record = outgoing(more);
      const { text, json, id } = encode(format, record, surroundings);
      assert.ok(!breaksOut.test(text), JSON.stringify(text));
      assert.equal(id, 'gate.example.test/log/replica-a/7');
      if (format === 'otlp') assert.ok(JSON.parse(text).resourceLogs);
      else if (json) assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(json)));
      if (format === 'json-lines') assert.deepEqual(JSON.parse(text).record, JSON.parse(JSON.stringify(record.record)));
    }),
    { numRuns: 600 },
  );
});

/** An independent reader of CEF: seven header fields, and `key=value` with its escapes. */
function readCef(text: string): { header: string[]; fields: Map<string, string> } {
  const header: string[] = [];
  let field = '';
  let at = 0;
  for (; at < text.length && header.length < 7; at++) {
    if (text[at] === '\\' && (text[at + 1] === '|' || text[at + 1] === '\\')) field += text[++at];
    else if (text[at] === '|') {
      header.push(field);
      field = '';
    } else field += text[at];
  }
  const fields = new Map<string, string>();
  const extension = text.slice(at);
  const keys = [...extension.matchAll(/(?:^| )([A-Za-z0-9]+)=/g)].filter(({ index, 0: all }) => {
    const before = extension.slice(0, index + all.length - 1);
    return !/(^|[^\\])(\\\\)*\\$/.test(before);
  });
  keys.forEach((match, each) => {
    const start = match.index + match[0].length;
    const end = keys[each + 1]?.index ?? extension.length;
    fields.set(match[1] as string, extension.slice(start, end).replace(/\\([\\=])/g, '$1'));
  });
  return { header, fields };
}

/** @proves export.one-event */
test('no text makes another field of a CEF event, or another value of one', () => {
  const names = new Set(
    [
      'rt externalId deviceExternalId cat act outcome suser duser sourceServiceName destinationServiceName reason msg cs1 cs1Label cs2 cs2Label cs3 cs3Label',
      'cs4 cs4Label cs5 cs5Label cs6 cs6Label cn1 cn1Label flexString1 flexString1Label flexString2 flexString2Label',
    ].flatMap((line) => line.split(' ')),
  );
  fc.assert(
    fc.property(anyRecord, (more) => {
      const record = outgoing(more);
      const { header, fields } = readCef(encode('cef', record, surroundings).text);
      assert.deepEqual(header.slice(0, 4), ['CEF:0', 'Gatehouse', 'Gatehouse', '1.2.3']);
      assert.equal(header.length, 7);
      assert.match(header[6] ?? '', /^(0|3|5|8|10)$/);
      for (const name of fields.keys()) assert.ok(names.has(name), name);
      assert.equal(fields.get('externalId'), 'gate.example.test/log/replica-a/7');
      assert.equal(fields.get('cat'), record.record.kind);
      assert.equal(fields.get('cs5'), 'ab'.repeat(32));
      assert.ok(['success', 'failure', 'unknown'].includes(fields.get('outcome') ?? ''));
    }),
    { numRuns: 600 },
  );
});

/** Reads frames as RFC 6587 §3.4.1 has them. */
function readFrames(bytes: Buffer): string[] {
  const messages: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(bytes.toString('latin1', at, space));
    assert.ok(Number.isInteger(length) && length > 0);
    messages.push(bytes.toString('utf8', space + 1, space + 1 + length));
    at = space + 1 + length;
  }
  return messages;
}

/** RFC 5424 §6, with every field that it has; the expression is of its ABNF. */
const syslogMessage =
  /^<(?<pri>\d{1,3})>1 (?<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) (?<host>[\x21-\x7e]{1,255}) (?<app>[\x21-\x7e]{1,48}) (?<proc>[\x21-\x7e]{1,128}) (?<id>[\x21-\x7e]{1,32}) (?<sd>(?:\[[\x21-\x7e]{1,32}(?: [^\s=\]"]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*\])+)(?: (?<msg>.*))?$/s;

/** @proves export.one-event */
test('syslog frames hold exactly their record; no text begins another, and the message says its encoding', () => {
  fc.assert(
    fc.property(
      fc.array(anyRecord, { minLength: 1, maxLength: 5 }),
      fc.constantFrom(...sinkFormat.options),
      (more, format) => {
        const records = more.map((each, at) => encode(format, { ...outgoing(each, at) }, surroundings));
        const messages = readFrames(Buffer.concat(records.map((record) => frameOf(record, 13, '1.2.3'))));
        assert.equal(messages.length, records.length);
        messages.forEach((message, at) => {
          const { pri, sd, msg = '', app } = syslogMessage.exec(message)?.groups ?? {};
          assert.ok(Number(pri) >= 13 * 8 && Number(pri) < 14 * 8, message);
          assert.equal(app, 'gatehouse');
          assert.equal(sd, `[origin software="gatehouse" swVersion="1.2.3"][meta sequenceId="${at + 1}"]`);
          if (format === 'cef') assert.equal(msg.startsWith('\ufeff'), /[^\x20-\x7e]/.test(msg));
          else assert.match(msg, /^[\x20-\x7e]*$/);
        });
      },
    ),
    { numRuns: 300 },
  );
});

test('the examples of RFC 5424 are of the grammar that ours are read with, and what is wrong in them is not', () => {
  const good = [
    '<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"] An event',
    '<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3"][examplePriority@32473 class="high"]',
  ];
  for (const each of good) assert.match(each, syslogMessage);
  assert.doesNotMatch(good[0]?.replace('"3"', '"3]"') ?? '', syslogMessage);
  assert.doesNotMatch(good[1]?.replace('][', '] [') ?? '', /(?=.*\] \[examplePriority.*$)(?!.*\]$)/);
});

test('severities of syslog, and the clean values of its header', () => {
  const first = encode('json-lines', outgoing({ replica: 'a b\nc' }), surroundings);
  assert.match(messageOf(first, 10, '1'), /^<86>1 2026-11-27T20:00:00.123Z gate.example.test gatehouse abc record /);
  const killed = encode('json-lines', outgoing({ kind: 'change', operation: 'agent.kill' }), surroundings);
  assert.match(messageOf(killed, 10, '1'), /^<83>1 /);
});

/** @proves export.schemas */
test('every record is an event of its OCSF class: all that is required, nothing that is unknown, numbers that are there', () => {
  const classes = new Set<number>();
  fc.assert(
    fc.property(anyRecord, (more) => {
      const { json } = encode('ocsf', outgoing(more), surroundings);
      assert.ok(json);
      assert.deepEqual(ocsfProblems(json), [], JSON.stringify(json));
      classes.add(json.class_uid as number);
    }),
    { numRuns: 1_500 },
  );
  assert.deepEqual(
    [...classes].sort(),
    Object.values(ocsfClasses)
      .map(({ uid }) => uid)
      .sort(),
  );
  assert.notDeepEqual(
    ocsfProblems({ class_uid: 6003, activity_id: 1 } as never),
    [],
    'the check lets anything through',
  );
});

/** @proves export.schemas */
test('an OCSF event says of which log it is, and its fingerprint is over the event', () => {
  const { json } = encode('ocsf', outgoing(), surroundings);
  const {
    attestation_list: [attestation],
    ...event
  } = json as unknown as {
    attestation_list: [{ fingerprint: { value: string } }];
    raw_data_hash: { value: string };
    ai_agent: object;
  };
  const { fingerprint, ...place } = attestation;
  assert.deepEqual(place, {
    uid: 'gate.example.test/log/replica-a/7',
    authority_uid: 'gate.example.test/log/replica-a',
    chain_uid: 'gate.example.test/log/replica-a',
  });
  assert.equal(fingerprint.value, sha256Hex(canonicalJson({ ...event, attestation_list: [place] })));
  assert.equal(event.raw_data_hash.value, 'ab'.repeat(32));
  assert.deepEqual(event.ai_agent, {
    name: 'agent-support-refunds-prod',
    uid: 'spiffe://example.test/env/prod/agent/agent-support-refunds-prod',
    instance_uid: 'tsk_1',
    ai_model: { name: 'model-1', ai_provider: 'maker' },
  });
});

/** @proves export.schemas */
test('kill is a suspension, a token an authorization, a refusal by a rule of flow and the circuit breaker findings', () => {
  const classOf = (more: Partial<ActionRecord>) => {
    const { json } = encode('ocsf', outgoing(more), surroundings);
    return json?.type_uid;
  };
  assert.equal(classOf({ kind: 'change', operation: 'agent.kill' }), 300412);
  assert.equal(classOf({ kind: 'change', operation: 'token.issue' }), 300301);
  assert.equal(classOf({ kind: 'change', operation: 'person.sign-in' }), 300201);
  assert.equal(classOf({ kind: 'change', operation: 'delegation.create' }), 300501);
  const by = [{ sub: 'gatehouse', profile: 'ai_agent' as const }];
  assert.equal(classOf({ kind: 'change', operation: 'task.suspend', actor_chain: by }), 200401);
  const decision = {
    effect: 'deny' as const,
    tier: 3 as const,
    code: 'flow',
    reason: '',
    policies: ['gatehouse/flow#sensitive-out'],
    policyVersion: 'v',
  };
  assert.equal(classOf({ kind: 'request', decision }), 200401);
  assert.equal(classOf({ kind: 'outcome', result: 'anomalous' }), 200401);
  assert.equal(classOf({}), 600399);
});

/** @proves export.schemas */
test('a CloudEvent is one for the SDK of CloudEvents, alone and in a batch', async () => {
  const { CloudEvent, HTTP } = await import('cloudevents');
  fc.assert(
    fc.property(anyRecord, (more) => {
      const { json } = encode('cloud-events', outgoing(more), surroundings);
      const event = new CloudEvent(json as never, true);
      assert.equal(event.id, 'gate.example.test/log/replica-a/7');
      assert.equal(event.source, 'https://gate.example.test/log/replica-a');
      assert.ok(event.validate());
    }),
    { numRuns: 100 },
  );
  const texts = [1, 2].map((at) => encode('cloud-events', outgoing({}, at), surroundings).text);
  const headers = { 'content-type': 'application/cloudevents-batch+json' };
  const batch = HTTP.toEvent({ headers, body: `[${texts.join(',')}]` });
  assert.ok(Array.isArray(batch) && batch.length === 2);
});
