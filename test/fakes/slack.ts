import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * A fake of Slack: as much of its Web API as posts, changes and whispers messages, and the requests that its buttons make, in the shapes of its
 * documentation (`block_actions`, request signing `v0`). It renders nothing.
 */
export interface FakeSlack {
  api: string;
  origin: string;
  botToken: string;
  signingSecret: string;
  calls: { method: string; body: Record<string, unknown> }[];
  /** The body and headers of a button's press. */
  press(
    user: string,
    action: { action_id: string; value?: string },
    how?: { at?: number; secret?: string; team?: string },
  ): {
    body: string;
    headers: Record<string, string>;
  };
  close(): void;
}

export async function startFakeSlack(): Promise<FakeSlack> {
  const botToken = 'xoxb-fake';
  const signingSecret = '8f742231b10e8888abcd99yyyzzz85a5';
  const calls: FakeSlack['calls'] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const method = request.url?.replace('/api/', '') ?? '';
    const send = (body: object) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (request.headers.authorization !== `Bearer ${botToken}`) return send({ ok: false, error: 'invalid_auth' });
    const body = JSON.parse(text) as Record<string, unknown>;
    calls.push({ method, body });
    send({ ok: true, channel: body.channel, ts: `1531420618.${String(calls.length).padStart(6, '0')}` });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    api: `${origin}/api`,
    origin,
    botToken,
    signingSecret,
    calls,
    press(user, action, { at = Date.now(), secret = signingSecret, team = 'T0FAKE' } = {}) {
      const payload = {
        type: 'block_actions',
        user: { id: user, username: 'somebody', name: 'somebody', team_id: team },
        api_app_id: 'A0FAKE',
        token: 'verification-token',
        container: { type: 'message', message_ts: '1531420618.000001', channel_id: 'C0FAKE', is_ephemeral: false },
        trigger_id: '398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
        team: { id: team, domain: 'fake' },
        channel: { id: 'C0FAKE', name: 'refunds' },
        response_url: 'https://hooks.slack.com/actions/T0FAKE/1/x',
        actions: [{ type: 'button', block_id: 'gatehouse', action_ts: '1531420700.000001', ...action }],
      };
      const body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
      const timestamp = String(Math.floor(at / 1_000));
      return {
        body,
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          'x-slack-request-timestamp': timestamp,
          'x-slack-signature': `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex')}`,
        },
      };
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
