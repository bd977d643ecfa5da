/** A minimal MCP server's answers, in both eras: what a gate can cost is only seen in front of something that costs nothing. */
interface Request {
  id?: number | string;
  method: string;
  params?: {
    name?: string;
    arguments?: Record<string, unknown>;
    protocolVersion?: string;
    _meta?: Record<string, unknown>;
  };
}

const tool = {
  name: 'echo',
  description: 'Gives back what it is given',
  inputSchema: {
    type: 'object',
    properties: { text: { type: 'string' }, number: { type: 'integer' } },
    required: ['text', 'number'],
  },
};
const serverInfo = { name: 'echo', version: '1.0.0' };

export function answerTo(request: Request): object | undefined {
  if (request.id === undefined) return undefined;
  return { jsonrpc: '2.0', id: request.id, ...reply(request) };
}

function reply({ method, params }: Request): object {
  const modern = params?._meta?.['io.modelcontextprotocol/protocolVersion'] !== undefined;
  const complete = modern ? { resultType: 'complete' } : {};
  const listed = modern ? { ...complete, ttlMs: 0, cacheScope: 'private' } : {};
  switch (method) {
    case 'initialize':
      return { result: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo } };
    case 'server/discover':
      return { result: { ...listed, supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, serverInfo } };
    case 'ping':
      return { result: {} };
    case 'tools/list':
      return { result: { ...listed, tools: [tool] } };
    case 'tools/call':
      return { result: { ...complete, content: [{ type: 'text', text: String(params?.arguments?.text) }] } };
    default:
      return { error: { code: -32601, message: `unknown method ${method}` } };
  }
}
