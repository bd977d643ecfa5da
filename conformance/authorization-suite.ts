import { spawn } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { authorize } from '../test/support/browser-flow.ts';
import { manifests } from '../test/support/fixtures.ts';
import { freePort } from '../test/support/free-port.ts';
import { startWorkspace } from '../test/support/workspace.ts';

/** The official suite's authorization scenarios against our authorization server, with a person who consents. */
export interface AuthorizationResult {
  scenario: string;
  passed: number;
  failed: string[];
  warnings: string[];
}

const suite = fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/dist/index.js'));

interface Check {
  id: string;
  status: string;
  errorMessage?: string;
}

export async function runAuthorizationSuite(): Promise<AuthorizationResult[]> {
  const workspace = await startWorkspace();
  const output = mkdtempSync(join(tmpdir(), 'authorization-conformance-'));
  try {
    await workspace.apply([
      ...manifests(),
      { kind: 'Client', name: 'suite', displayName: 'Suite', redirectUris: ['http://127.0.0.1/callback'] },
    ]);
    const owner = await workspace.person('owner@example.test');
    const resource = `${workspace.url}/mcp`;
    const client = ['--client-id', 'suite', '--resource', resource, '-p', String(await freePort())];
    const run = spawn(process.execPath, [suite, 'authorization', '--url', workspace.url, ...client, '-o', output]);
    let said = '';
    let answering: Promise<unknown> | undefined;
    const hear = (chunk: Buffer) => {
      said += chunk.toString();
      const url = /http\S+\/oauth\/authorize\?\S+/.exec(said)?.[0];
      if (url === undefined || answering) return;
      answering = authorize(url, owner, {
        choose: (choices) => choices.find(({ agent }) => agent === 'agent-bearer'),
      }).then((back) => fetch(back));
    };
    run.stdout.on('data', hear);
    run.stderr.on('data', hear);
    await new Promise((resolve) => run.once('close', resolve));
    await answering;
    if (!answering) throw new Error(`the suite asked nobody for consent:\n${said}`);
    return globSync('**/checks.json', { cwd: output })
      .sort()
      .map((file) => {
        const checks = JSON.parse(readFileSync(join(output, file), 'utf8')) as Check[];
        const those = (status: string) => checks.filter((check) => check.status === status);
        const name = ({ id, errorMessage }: Check) => `${id}: ${errorMessage ?? ''}`;
        return {
          scenario: dirname(file).replace(/-\d{4}-\d\d-\d\dT.*$/, ''),
          passed: those('SUCCESS').length,
          failed: those('FAILURE').map(name),
          warnings: those('WARNING').map(name),
        };
      });
  } finally {
    await workspace.close();
    rmSync(output, { recursive: true, force: true });
  }
}
