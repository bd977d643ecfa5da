import type { Api, Manifest, ManifestInput } from '@gatehouse/protocol';
import { manifest } from '@gatehouse/protocol';
import {
  type AgentClient,
  type AgentTask,
  agentKeyFromJwk,
  createAgent,
  createOperator,
  type Operator,
} from '@gatehouse/sdk';
import { createSoftwarePasskey } from '@gatehouse/sdk/software-passkey';
import { exportJWK, generateKeyPair } from 'jose';
import { Pool } from 'undici';

/** What a user of a server in another process does: administers it, approves, and calls tools. Everything goes over HTTP. */

export function operatorOf(url: string, dataDir: string): Operator {
  return createOperator({ url, dataDir });
}

export function applyTo(operator: Operator, manifests: ManifestInput[]): Promise<Api['POST /apply']> {
  return operator.call('POST /apply', { body: { manifests: manifests.map((each): Manifest => manifest.parse(each)) } });
}

/** The agent with a new key. */
export async function enrol(
  operator: Operator,
  agent: string,
  { bearerOnly, url = operator.url }: { bearerOnly: boolean; url?: string },
): Promise<AgentClient> {
  const pair = await generateKeyPair('ES256', { extractable: true });
  const key = await agentKeyFromJwk(await exportJWK(pair.privateKey));
  await operator.call('POST /agents/:name/keys', { params: { name: agent }, body: { key: key.publicJwk } });
  return createAgent({ url, agent, key, bearerOnly });
}

export interface Approver {
  /** True when the server has said that the approval is given; false when it said that it is not; throws when it said nothing. */
  approve(approval: string): Promise<boolean>;
  deny(approval: string): Promise<void>;
}

/** A person with a passkey of software, signed in; the session outlives the server's process. */
export async function signIn(operator: Operator, email: string, url: string = operator.url): Promise<Approver> {
  const passkey = createSoftwarePasskey();
  let cookie = '';
  async function post(path: string, body: unknown = {}): Promise<{ status: number; body: Record<string, unknown> }> {
    const response = await fetch(`${url}/api/v1${path}`, {
      method: 'POST',
      headers: { cookie, origin: url, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    for (const set of response.headers.getSetCookie()) cookie = set.split(';')[0] ?? '';
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }
  const link = await operator.call('POST /people/signin-links', { body: { email } });
  await post('/signin/link', { token: /signin_[\w-]+/.exec(link.url)?.[0] });
  const creation = await post('/passkeys/options');
  const enrolled = await post('/passkeys', {
    name: 'software',
    attestation: passkey.register(creation.body.options as never, url),
  });
  if (enrolled.status !== 200) throw new Error(`no passkey was enrolled: ${JSON.stringify(enrolled)}`);
  return {
    async approve(approval) {
      const asked = await post(`/approvals/${approval}/options`);
      if (asked.status !== 200) return false;
      const assertion = passkey.assert(asked.body.options as never, url);
      return (await post(`/approvals/${approval}/approve`, { assertion })).status === 200;
    },
    async deny(approval) {
      await post(`/approvals/${approval}/deny`, { reason: 'cleaning up' });
    },
  };
}

/** What became of one call, as its caller knows it. */
export type Answer =
  | { kind: 'ran' }
  | { kind: 'pending'; approval: string }
  /** Refused, or the outcome is unknown: the text says. */
  | { kind: 'not-run'; text: string }
  /** No answer came. */
  | { kind: 'lost' };

/** A JSON-RPC answer. */
export interface Message {
  result?: Record<string, unknown>;
  error?: { code: number; message: string; data?: unknown };
}

export interface McpCaller {
  call(task: AgentTask, tool: string, args: Record<string, unknown>): Promise<Answer>;
  /** Any request; undefined when no answer came. `capabilities`: of the client. */
  send(
    task: AgentTask,
    method: string,
    params: Record<string, unknown>,
    capabilities?: Record<string, unknown>,
  ): Promise<Message | undefined>;
  close(): Promise<void>;
}

/** Calls over MCP 2026-07-28. `at`: where to connect, when that is not where the public URL says. */
export function createCaller(publicUrl: string, at: string = publicUrl, connections = 32): McpCaller {
  const pool = new Pool(at, { connections, pipelining: 1 });
  const { host } = new URL(publicUrl);
  let number = 0;

  async function post(
    task: AgentTask,
    method: string,
    params: Record<string, unknown>,
    capabilities: Record<string, unknown> = {},
  ): Promise<string | undefined> {
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': capabilities,
      'io.modelcontextprotocol/clientInfo': { name: 'chaos', version: '1' },
    };
    const message = { jsonrpc: '2.0', id: ++number, method, params: { ...params, _meta: meta } };
    try {
      const response = await pool.request({
        path: '/mcp',
        method: 'POST',
        headers: {
          host,
          accept: 'application/json, text/event-stream',
          'content-type': 'application/json',
          'mcp-protocol-version': '2026-07-28',
          'mcp-method': method,
          'mcp-name': String(params.name ?? params.taskId),
          ...(await task.headersFor(`${publicUrl}/mcp`, 'POST')),
        },
        body: JSON.stringify(message),
      });
      return await response.body.text();
    } catch {
      // The server is gone, which is what this is about: nobody knows whether the call ran.
      return undefined;
    }
  }

  return {
    async call(task, tool, args) {
      const text = await post(task, 'tools/call', { name: tool, arguments: args });
      return text === undefined ? { kind: 'lost' } : read(text);
    },
    async send(task, method, params, capabilities) {
      const text = await post(task, method, params, capabilities);
      const json = text && messageIn(text);
      return json ? (JSON.parse(json) as Message) : undefined;
    },
    close: () => pool.destroy(),
  };
}

/** One message, alone or as the data of an event. */
const messageIn = (text: string) => (text.startsWith('{') ? text : (/^data: ?(\{.*)$/m.exec(text)?.[1] ?? ''));

function read(text: string): Answer {
  const json = messageIn(text);
  if (json === '') return { kind: 'not-run', text };
  const { result } = JSON.parse(json) as {
    result?: { isError?: boolean; _meta?: { 'gatehouse/approval'?: { id: string } } };
  };
  const approval = result?._meta?.['gatehouse/approval'];
  if (approval) return { kind: 'pending', approval: approval.id };
  return result && !result.isError ? { kind: 'ran' } : { kind: 'not-run', text: json };
}
