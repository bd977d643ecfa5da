import { execFile } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startWorkspace } from '../test/support/workspace.ts';

/**
 * The official suite's client scenarios against one running gate, one after the other: each starts servers of its own, which the gate gets
 * as upstreams (see client.ts).
 */
export interface ClientScenario {
  name: string;
  /** The revision that the scenario's servers speak. */
  version: '2025-03-26' | '2025-11-25' | '2026-07-28';
}

export interface ClientResult extends ClientScenario {
  passed: number;
  failed: string[];
  warnings: string[];
}

const suite = fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/dist/index.js'));
const client = fileURLToPath(new URL('./client.ts', import.meta.url));

const ofBoth = [
  'auth/metadata-default',
  'auth/metadata-var1',
  'auth/metadata-var2',
  'auth/metadata-var3',
  'auth/basic-cimd',
  'auth/scope-from-www-authenticate',
  'auth/scope-from-scopes-supported',
  'auth/scope-omitted-when-undefined',
  'auth/scope-step-up',
  'auth/scope-retry-limit',
  'auth/token-endpoint-auth-basic',
  'auth/token-endpoint-auth-post',
  'auth/token-endpoint-auth-none',
  'auth/pre-registration',
  'auth/client-credentials-jwt',
  'auth/client-credentials-basic',
  'auth/enterprise-managed-authorization',
  'auth/dpop',
  'auth/dpop-nonce',
  'auth/wif-jwt-bearer',
];

export const clientScenarios: Record<ClientScenario['version'], string[]> = {
  // Before resource metadata: the server's own origin authorizes.
  '2025-03-26': ['auth/2025-03-26-oauth-metadata-backcompat', 'auth/2025-03-26-oauth-endpoint-fallback'],
  '2025-11-25': [
    'initialize',
    'tools_call',
    'elicitation-sep1034-client-defaults',
    'sse-retry',
    'json-schema-2020-12-preservation',
    ...ofBoth,
  ],
  '2026-07-28': [
    'tools_call',
    'request-metadata',
    'sep-2322-client-request-state',
    'http-standard-headers',
    'http-custom-headers',
    'http-invalid-tool-headers',
    'json-schema-ref-no-deref',
    'json-schema-2020-12-preservation',
    ...ofBoth,
    'auth/resource-mismatch',
    'auth/offline-access-scope',
    'auth/offline-access-not-supported',
    'auth/authorization-server-migration',
    'auth/iss-supported',
    'auth/iss-not-advertised',
    'auth/iss-supported-missing',
    'auth/iss-wrong-issuer',
    'auth/iss-unexpected',
    'auth/iss-normalized',
    'auth/metadata-issuer-mismatch',
  ],
};

export async function startClientSuite(): Promise<{
  run(scenario: ClientScenario): Promise<ClientResult>;
  close(): Promise<void>;
}> {
  const gate = await startWorkspace();
  const env = { ...process.env, GATEHOUSE_URL: gate.url, GATEHOUSE_DATA_DIR: gate.dataDir };
  return {
    close: () => gate.close(),
    async run({ name, version }) {
      const directory = mkdtempSync(join(tmpdir(), 'conformance-'));
      try {
        const command = `"${process.execPath}" "${client}"`;
        const args = [
          'client',
          '--command',
          command,
          '--scenario',
          name,
          '--spec-version',
          version,
          '--force',
          '-o',
          directory,
        ];
        const output = await runProcess([suite, ...args], env);
        const [file] = globSync('**/checks.json', { cwd: directory });
        if (file === undefined) throw new Error(`the suite reported nothing for ${name}: ${output}`);
        const checks = JSON.parse(readFileSync(join(directory, file), 'utf8')) as {
          id: string;
          status: string;
          description: string;
          errorMessage?: string;
        }[];
        const those = (status: string) =>
          checks
            .filter((check) => check.status === status)
            .map(({ id, description, errorMessage }) => `${id}: ${errorMessage ?? description}`);
        const failed = those('FAILURE');
        if (failed.length > 0 && process.env.CONFORMANCE_VERBOSE) console.error(output);
        return { name, version, passed: those('SUCCESS').length, failed, warnings: those('WARNING') };
      } finally {
        rmSync(directory, { recursive: true });
      }
    },
  };
}

function runProcess(args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve) =>
    execFile(process.execPath, args, { env, maxBuffer: 64 * 1024 * 1024 }, (_error, stdout, stderr) =>
      resolve(`${stdout}\n${stderr}`),
    ),
  );
}
