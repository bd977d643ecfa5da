import assert from 'node:assert/strict';
import type { AgentClient } from './agent-client.ts';
import type { House } from './house.ts';

export type RequestChange = NonNullable<Parameters<AgentClient['post']>[0]>;

export interface ExpectedRefusal {
  status: number;
  error: string;
  says: RegExp;
}

/** Asserts one precise refusal, in the form RFC 6749 §5.2 prescribes, with nothing issued and nothing cacheable. */
export async function assertRefused(
  house: House,
  client: AgentClient,
  change: RequestChange,
  expected: ExpectedRefusal,
): Promise<void> {
  const before = (await house.records('token.issue')).length;
  const answer = await client.post(change);
  assert.deepEqual([answer.status, answer.body.error], [expected.status, expected.error], JSON.stringify(answer.body));
  const description = String(answer.body.error_description);
  assert.match(description, expected.says);
  assert.match(description, /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/);
  assert.equal(answer.headers.get('cache-control'), 'no-store');
  assert.equal(answer.headers.get('content-type')?.split(';')[0], 'application/json');
  assert.equal((await house.records('token.issue')).length, before);
}

/** The log must show no internal error but those a test caused, and never a token. */
export function assertCleanLog(house: House, caused: RegExp = /$^/): void {
  const failures = house.lines.filter((line) => line.includes('"level":"error"') && !caused.test(line));
  assert.deepEqual(failures, []);
  for (const line of house.lines) assert.doesNotMatch(line, /eyJ[\w-]+\.eyJ[\w-]+\.[\w-]{20}/);
}
