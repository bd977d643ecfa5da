import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** kubectl (Debian: kubernetes-client) with a token; what it printed, whether it failed or not. */
export async function kubectl({ server, token, ca }: { server: string; token: string; ca: string }, path: string) {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-kubectl-'));
  const config = join(folder, 'config');
  writeFileSync(
    config,
    JSON.stringify({
      ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'c' },
      clusters: [{ name: 'c', cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } }],
      users: [{ name: 'u', user: { token } }],
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    }),
    { mode: 0o600 },
  );
  try {
    return await new Promise<string>((resolve) =>
      execFile(
        'kubectl',
        ['--kubeconfig', config, 'get', '--raw', path],
        { env: { PATH: process.env.PATH, HOME: folder } },
        (_, out, err) => resolve(out + err),
      ),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
