import { type ForeignServer, startForeignServer } from './foreign-server.ts';
import { type PythonTool, pythonTool } from './python.ts';

/** moto, and the clients that speak to it: AWS's own command line (`python -m awscli`), boto3 and botocore, of the versions that it names. */
export const awsPython = (): Promise<PythonTool | undefined> =>
  pythonTool('moto', '5.2.5', ['flask', 'flask-cors', 'py-partiql-parser', 'joserfc', 'awscli==1.46.3']);

/**
 * moto: AWS's services in memory (KMS, STS and IAM are installed), by AWS's own models. It does not check signatures. Undefined
 * where it can't be installed (in CI: throws).
 */
export async function startMoto(): Promise<ForeignServer | undefined> {
  const tool = await awsPython();
  if (!tool) return undefined;
  return startForeignServer(tool.python, (port) => ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], {
    path: '/moto-api/data.json',
  });
}
