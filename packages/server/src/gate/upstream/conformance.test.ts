import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from './testing/kit.ts';

const manifest = createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json');
const suite = join(dirname(manifest), 'dist', 'index.js');
const client = fileURLToPath(new URL('./testing/conformance-client.ts', import.meta.url));

/** The suite's client scenarios without those of OAuth, which need a whole gate: conformance/client-suite.test.ts. */
const scenarios: [string, string[]][] = [
  ['2025-11-25', ['initialize', 'tools_call', 'elicitation-sep1034-client-defaults', 'sse-retry']],
  [
    '2026-07-28',
    [
      'tools_call',
      'request-metadata',
      'sep-2322-client-request-state',
      'http-standard-headers',
      'http-custom-headers',
      'http-invalid-tool-headers',
      'json-schema-ref-no-deref',
    ],
  ],
];

for (const [version, names] of scenarios) {
  describe(`the official suite of ${version}`, () => {
    for (const name of names) {
      test(`passes our client in ${name}`, async (context) => {
        const command = `"${process.execPath}" "${client}"`;
        const args = ['client', '--command', command, '--scenario', name, '--spec-version', version];
        const { failed, output } = await run([suite, ...args, '-o', temporaryDirectory(context)]);
        assert.ok(!failed, output);
        assert.match(output, /, 0 failed, 0 warnings/, output);
      });
    }
  });
}

function run(args: string[]): Promise<{ failed: boolean; output: string }> {
  return new Promise((resolve) =>
    execFile(process.execPath, args, (error, stdout, stderr) =>
      resolve({ failed: error !== null, output: `${stdout}\n${stderr}` }),
    ),
  );
}
