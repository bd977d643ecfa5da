import { Pool } from 'undici';

/** One client process: `concurrency` callers, each sending its next call when the last was answered. Arguments differ in every call. */
export interface LoadRequest {
  url: string;
  era: '2025-11-25' | '2026-07-28';
  headers: Record<string, string>;
  /** One proof per call; without them the headers are all there is. */
  proofs?: string[];
  concurrency: number;
  seconds: number;
}

export interface LoadResult {
  calls: number;
  /** With those before the clock started. */
  answered: number;
  errors: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  firstError: string | null;
}

const accept = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

export async function load(request: LoadRequest): Promise<LoadResult> {
  const url = new URL(request.url);
  const pool = new Pool(url.origin, { connections: request.concurrency, pipelining: 1 });
  const proofs = request.proofs?.[Symbol.iterator]();
  let number = 0;

  async function send(body: object, more: Record<string, string>) {
    const proof = proofs?.next().value;
    const headers = { ...accept, ...request.headers, ...more, ...(proof !== undefined && { dpop: proof }) };
    const response = await pool.request({ path: url.pathname, method: 'POST', headers, body: JSON.stringify(body) });
    return { status: response.statusCode, headers: response.headers, text: await response.body.text() };
  }

  let session: Record<string, string> = {};
  if (request.era === '2025-11-25') {
    const initialize = {
      jsonrpc: '2.0',
      id: 'init',
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bench', version: '1' } },
    };
    const answer = await send(initialize, {});
    if (answer.status !== 200) throw new Error(`initialize: ${answer.status} ${answer.text.slice(0, 300)}`);
    const id = answer.headers['mcp-session-id'];
    session = { 'mcp-protocol-version': '2025-11-25', ...(typeof id === 'string' && { 'mcp-session-id': id }) };
    await send({ jsonrpc: '2.0', method: 'notifications/initialized' }, session);
  } else {
    session = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'echo' };
  }
  const meta =
    request.era === '2026-07-28'
      ? {
          _meta: {
            'io.modelcontextprotocol/protocolVersion': '2026-07-28',
            'io.modelcontextprotocol/clientCapabilities': {},
            'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
          },
        }
      : {};
  const call = () => {
    const id = ++number;
    return send(
      {
        jsonrpc: '2.0',
        id,
        method: 'tools/call',
        params: { name: 'echo', arguments: { text: `hello ${id}`, number: id }, ...meta },
      },
      session,
    );
  };

  const latencies: number[] = [];
  let [answered, errors] = [0, 0];
  let firstError: string | null = null;
  const run = async (seconds: number, keep: boolean) => {
    const until = performance.now() + seconds * 1000;
    const started = performance.now();
    await Promise.all(
      Array.from({ length: request.concurrency }, async () => {
        while (performance.now() < until) {
          const from = performance.now();
          const { status, text } = await call();
          answered++;
          if (status !== 200 || !text.includes('hello')) {
            errors++;
            firstError ??= `${status} ${text.slice(0, 300)}`;
          } else if (keep) latencies.push(performance.now() - from);
        }
      }),
    );
    return (performance.now() - started) / 1000;
  };
  await run(Math.min(1, request.seconds / 3), false);
  const took = await run(request.seconds, true);
  await pool.close();
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return {
    calls: latencies.length,
    answered,
    errors,
    perSecond: latencies.length / took,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    firstError,
  };
}

process.on('message', async (request: LoadRequest) => {
  try {
    process.send?.({ result: await load(request) });
  } catch (error) {
    process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});
