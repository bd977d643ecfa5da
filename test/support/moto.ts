import { type ForeignServer, startForeignServer } from './foreign-server.ts';
import { pythonTool } from './python.ts';

/**
 * moto: AWS's services in memory (KMS, STS and IAM are installed), by AWS's own models. It does not check signatures. Undefined
 * where it can't be installed (in CI: throws).
 */
export async function startMoto(): Promise<ForeignServer | undefined> {
  const tool = await pythonTool('moto', '5.2.5', ['flask', 'flask-cors', 'py-partiql-parser', 'joserfc']);
  if (!tool) return undefined;
  return startForeignServer(tool.python, (port) => ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], {
    path: '/moto-api/data.json',
  });
}
