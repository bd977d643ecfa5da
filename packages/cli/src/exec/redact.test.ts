import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createRedactor } from './redact.ts';

async function redacted(text: string, secrets: string[], cuts: number[]): Promise<string> {
  const stream = createRedactor(() => secrets);
  const bytes = Buffer.from(text);
  const out: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => out.push(chunk));
  const done = new Promise((resolve) => stream.once('end', resolve));
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  for (let index = 1; index < at.length; index++) stream.write(bytes.subarray(at[index - 1], at[index]));
  stream.end();
  await done;
  return Buffer.concat(out).toString();
}

/** @proves exec.redaction */
test('a secret is taken out wherever a stream is cut, and nothing else is changed', async () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 's', 'é'), maxLength: 12 });
  const secret = fc.string({ unit: fc.constantFrom('a', 'b', 's'), minLength: 3, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(letters, { maxLength: 6 }),
      secret,
      fc.array(fc.nat(), { maxLength: 8 }),
      async (parts, hidden, cuts) => {
        const text = parts.join(hidden);
        assert.equal(await redacted(text, [hidden], cuts), text.split(hidden).join('[redacted]'));
      },
    ),
  );
});

test('what cannot be the beginning of a secret is passed on at once', () => {
  const stream = createRedactor(() => ['secret']);
  stream.write('Password: ');
  assert.equal(String(stream.read()), 'Password: ');
  stream.write('yes s');
  assert.equal(String(stream.read()), 'yes ');
});

test('of a secret that is a part of another nothing of the longer one is left', async () => {
  assert.equal(await redacted('a secret-and-more b', ['secret', 'secret-and-more'], []), 'a [redacted] b');
});
