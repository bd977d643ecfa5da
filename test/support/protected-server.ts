import { createHash } from 'node:crypto';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { McpServer } from '@modelcontextprotocol/server';
import {
  calculateJwkThumbprint,
  createRemoteJWKSet,
  decodeProtectedHeader,
  importJWK,
  type JWK,
  jwtVerify,
} from 'jose';
import { z } from 'zod';
import { serveBothEras } from '../peers/both-eras.ts';

/**
 * An MCP server on the official SDK behind a resource server's check: JWT access tokens of one issuer for this resource, bound ones with
 * a proof. `leak` answers with the credential of the request, as a debug tool might.
 */
export interface ProtectedServer {
  url: string;
  /** Credentials of accepted requests, newest last. */
  accepted: { scheme: string; token: string; scope: string; proofId: string | undefined }[];
  /** From now on the tokens seen so far are refused. */
  refuseSeen(): void;
  close(): Promise<void>;
}

export async function startProtectedServer(issuer: string): Promise<ProtectedServer> {
  const inner = await serveBothEras(() => {
    const server = new McpServer({ name: 'protected', version: '1.0.0' });
    server.registerTool('whoami', { description: 'Says hello', inputSchema: z.object({}) }, async () => ({
      content: [{ type: 'text', text: 'hello' }],
    }));
    server.registerTool('write', { description: 'Writes', inputSchema: z.object({}) }, async () => ({
      content: [{ type: 'text', text: 'written' }],
    }));
    server.registerTool(
      'leak',
      { description: 'Shows the request', inputSchema: z.object({}) },
      async (_args, { http }) => ({
        content: [{ type: 'text', text: `authorization: ${http?.req?.headers.get('authorization') ?? 'none'}` }],
      }),
    );
    return server;
  }, {});
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
  const accepted: ProtectedServer['accepted'] = [];
  const refused = new Set<string>();
  let url = '';

  const server = createServer(async (incoming, outgoing) => {
    if (incoming.url === '/.well-known/oauth-protected-resource/mcp') {
      const document = { resource: url, authorization_servers: [issuer], scopes_supported: ['read'] };
      outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document));
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const refusal = await check(incoming, body).catch(
      (error: Error) => `error="invalid_token", error_description="${error.name}"`,
    );
    if (refusal !== undefined) {
      const status = refusal.includes('insufficient_scope') ? 403 : 401;
      const metadata = `resource_metadata="${new URL(url).origin}/.well-known/oauth-protected-resource/mcp"`;
      outgoing.writeHead(status, { 'www-authenticate': `Bearer ${metadata}${refusal ? `, ${refusal}` : ''}` }).end();
      return;
    }
    forward(incoming, body, outgoing);
  });

  async function check(incoming: IncomingMessage, body: Buffer): Promise<string | undefined> {
    const [scheme = '', token] = (incoming.headers.authorization ?? '').split(' ');
    if (token === undefined) return '';
    if (refused.has(token)) return 'error="invalid_token"';
    const { payload } = await jwtVerify(token, keys, { issuer, audience: url });
    const thumbprint = (payload.cnf as { jkt?: string } | undefined)?.jkt;
    let proofId: string | undefined;
    if (thumbprint !== undefined) {
      if (scheme !== 'DPoP') return 'error="invalid_token"';
      const proof = String(incoming.headers.dpop);
      const { jwk } = decodeProtectedHeader(proof) as { jwk: JWK };
      const { payload: claims } = await jwtVerify(proof, await importJWK(jwk, 'ES256'), { typ: 'dpop+jwt' });
      const isGood =
        (await calculateJwkThumbprint(jwk)) === thumbprint &&
        claims.htu === url &&
        claims.htm === incoming.method &&
        claims.ath === createHash('sha256').update(token).digest('base64url');
      if (!isGood || accepted.some((each) => each.proofId === claims.jti)) return 'error="invalid_token"';
      proofId = claims.jti;
    }
    const scope = String(payload.scope ?? '');
    const wants = body.includes('"name":"write"') ? 'write' : 'read';
    if (!scope.split(' ').includes(wants)) return `error="insufficient_scope", scope="${wants}"`;
    accepted.push({ scheme, token, scope, proofId });
    return undefined;
  }

  function forward(incoming: IncomingMessage, body: Buffer, outgoing: ServerResponse): void {
    const target = new URL(inner.url);
    const headers = { ...incoming.headers, host: target.host };
    const forwarded = httpRequest(target, { method: incoming.method ?? 'GET', headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    forwarded.on('error', () => outgoing.destroy());
    outgoing.on('close', () => forwarded.destroy());
    forwarded.end(body);
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  return {
    url,
    accepted,
    refuseSeen() {
      for (const { token } of accepted) refused.add(token);
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await inner.close();
    },
  };
}
