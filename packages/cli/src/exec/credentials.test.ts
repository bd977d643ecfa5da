import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { credentialsFor } from './credentials.ts';

const { GATEHOUSE_WAIT_SECONDS: before } = process.env;
afterEach(() => {
  if (before === undefined) delete process.env.GATEHOUSE_WAIT_SECONDS;
  else process.env.GATEHOUSE_WAIT_SECONDS = before;
});

/** A task to which the server says this. */
function gateThat(status: number, body: object) {
  let asked = 0;
  return {
    asked: () => asked,
    gate: {
      request: async () => {
        asked++;
        return { response: Response.json(body, { status }), task: { id: 'tsk_1' } as never };
      },
      task: async () => ({ id: 'tsk_1' }) as never,
    },
  };
}

/** @proves clients.exec */
test('a wait that is no number of seconds is refused before anything is asked for', async () => {
  const { gate, asked } = gateThat(202, { detail: 'Waiting for approval' });
  for (const wait of ['5m', 'abc', '-1', '99999']) {
    process.env.GATEHOUSE_WAIT_SECONDS = wait;
    await assert.rejects(
      credentialsFor(gate, { provider: ['orders'], env: ['A={password}'] }, () => undefined),
      {
        message: /GATEHOUSE_WAIT_SECONDS must be a whole number from 0 to 3600/,
      },
    );
  }
  assert.equal(asked(), 0);
});

/** @proves clients.exec */
test('of a key of several lines each line is taken out of what the command prints', async () => {
  const lines = ['QUFBQUFBQUFBQUFBQUFBQQ', 'QkJCQkJCQkJCQkJCQkJCQg'];
  const key = `-----BEGIN KEY-----\n${lines.join('\n')}\n-----END KEY-----\n`;
  const { gate } = gateThat(200, { lease: 'lse_1', credential: { key }, expires_at: '2100-01-01T00:00:00Z' });
  const { secrets } = await credentialsFor(gate, { provider: ['hosts'], env: ['KEY={key}'] }, () => undefined);
  assert.deepEqual(secrets, [key, ...lines]);
});
