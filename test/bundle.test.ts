import assert from 'node:assert/strict';
import { once } from 'node:events';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { findPackageJSON } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { rootCertificates } from 'node:tls';
import { pathToFileURL } from 'node:url';

import { build } from 'esbuild';
import { bundleOptions } from '../scripts/bundle.ts';

const root = join(import.meta.dirname, '..');

/**
 * What people run is a bundle, and other tests run the sources. The two differ where a package is loaded late: in a bundle, a CommonJS
 * package gives its names to modules that import them and to none that `import()` it.
 */
test('what the command line loads late has its names in the bundle too: given authorities, and AWS identities', async () => {
  const sdk = join(root, 'packages/sdk/src');
  // Beside the packages, so that what is not bundled is found.
  const directory = mkdtempSync(join(root, 'node_modules', '.bundle-test-'));
  const server = createServer((_request, response) => response.end('here')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const entry = join(directory, 'entry.ts');
    const from = (file: string) => JSON.stringify(join(sdk, file));
    writeFileSync(
      entry,
      `export { serverFetch } from ${from('server-fetch.ts')}; export { signAwsIdentity } from ${from('credentials/aws-identity.ts')};`,
    );
    await build({ ...bundleOptions, entryPoints: { entry }, outdir: directory });
    const made = await import(pathToFileURL(join(directory, 'entry.mjs')).href);
    const get = made.serverFetch({ ca: rootCertificates[0] });
    const answer = await get(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    assert.equal(await answer.text(), 'here');
    const env = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' };
    const signed = await made.signAwsIdentity('https://gatehouse.example', new Date(0), env);
    assert.match(signed.headers.authorization, /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/);
  } finally {
    server.close();
    server.closeAllConnections();
    rmSync(directory, { recursive: true });
  }
});

test('a CommonJS package that is loaded when it is used is left out of the bundle', () => {
  const external = new Set(bundleOptions.external);
  let seen = 0;
  for (const file of globSync('packages/{server,cli}/src/**/*.ts', { cwd: root, exclude: ['**/*.test.ts'] }))
    for (const [, specifier = ''] of readFileSync(join(root, file), 'utf8').matchAll(/\bimport\('([^'.][^']*)'\)/g)) {
      if (specifier.startsWith('node:') || specifier.startsWith('@gatehouse/')) continue;
      const path = findPackageJSON(specifier, join(root, file));
      const { name, type } = JSON.parse(readFileSync(path as string, 'utf8')) as { name: string; type?: string };
      seen++;
      assert.ok(
        type === 'module' || external.has(name),
        `${file}: ${specifier} belongs among the external of scripts/bundle.ts`,
      );
    }
  assert.ok(seen > 3);
});
