import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createCli } from '../../packages/cli/test/support.ts';
import { manifests } from '../../test/support/fixtures.ts';
import { startWorkspace } from '../../test/support/workspace.ts';
import type { Part } from '../part.ts';
import { cacheDirectory, goHelp, needProgram, prepare } from './cache.ts';
import { type Case, resultOf, tell } from './cases.ts';

const source = join(import.meta.dirname, 'go-client');
const agent = 'agent-a';

/** The SPIFFE project's own Go library as the client: of the Workload API (`gatehouse spiffe serve`), and of the gate over mutual TLS. */
export const goSpiffe: Part = {
  heading: 'go-spiffe as a client (C3)',
  async run() {
    const go = /go version go(\S+)/.exec(needProgram('go', 'version', goHelp))?.[1];
    const program = join(cacheDirectory('go-spiffe'), 'go-client');
    const env = { GOFLAGS: '-mod=readonly -buildvcs=false' };
    await prepare(
      'Building the client (half a minute at first, for its modules)',
      'go',
      ['build', '-o', program, '.'],
      { cwd: source, env },
    );
    const version = /go-spiffe\/v2 (\S+)/.exec(readFileSync(join(source, 'go.mod'), 'utf8'))?.[1];
    const how =
      'A program on the SPIFFE project’s own library (conformance/foreign/go-client) that knows nothing of Gatehouse but its addresses. `gatehouse spiffe serve` gives it its identity.';
    return resultOf(`github.com/spiffe/go-spiffe/v2 ${version}, Go ${go}`, how, await runClient(program));
  },
};

async function runClient(program: string): Promise<Case[]> {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-go-spiffe-'));
  const workspace = await startWorkspace({ mutualTls: true });
  const children: ChildProcess[] = [];
  try {
    await workspace.apply(manifests());
    const cli = createCli(directory, { GATEHOUSE_URL: workspace.url, GATEHOUSE_DATA_DIR: workspace.dataDir });
    const enrolled = await cli.run('agent', 'enroll', agent);
    if (enrolled.code !== 0) throw new Error(enrolled.stderr);
    const socket = join(directory, 'own', 'api.sock');
    const serve = cli.start(['spiffe', 'serve', '--agent', agent, '--socket', socket]);
    children.push(serve);
    await once(createInterface({ input: serve.stdout as NodeJS.ReadableStream }), 'line');

    const id = `spiffe://example.test/env/production/agent/${agent}`;
    const client = spawn(program, [socket, workspace.mutualTlsUrl ?? '', 'example.test', id, 'all'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(client);
    const ended = once(client, 'exit');
    const cases: Case[] = [];
    for await (const line of createInterface({ input: client.stdout })) {
      const { watching, case: name, problem } = JSON.parse(line) as { watching?: true; case: string; problem?: string };
      if (watching) {
        tell('replacing the authorities; the client hears of it within a minute …');
        await workspace.operator('POST /trust-domain/rotate', { body: { compromised: true } });
        continue;
      }
      tell(`${problem === undefined ? 'passed' : 'FAILED'}: ${name}`);
      cases.push({ name, ...(problem !== undefined && { problem }) });
    }
    const [code] = await ended;
    if (code !== 0) throw new Error(`the client ended with ${code}: see what it says above`);
    return cases;
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await workspace.close();
    rmSync(directory, { recursive: true, force: true });
  }
}
