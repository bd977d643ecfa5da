import { existsSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { bundleOptions } from './bundle.ts';
import { buildStandalone } from './standalone.ts';

const root = join(import.meta.dirname, '..');

console.error('Building …');
await rm(join(root, 'dist'), { recursive: true, force: true });
await build({
  ...bundleOptions,
  entryPoints: {
    gatehouse: join(root, 'packages/cli/src/main.ts'),
    'sqlite-worker': join(root, 'packages/server/src/storage/sqlite-worker.ts'),
    'search-worker': join(root, 'packages/server/src/ledger/search/search-worker.ts'),
    'export-worker': join(root, 'packages/server/src/ledger/export/export-worker.ts'),
    'replay-worker': join(root, 'packages/server/src/governance/rehearsal/replay-worker.ts'),
  },
  outdir: join(root, 'dist'),
});
if (!process.argv.includes('--without-console')) {
  const vite = await import(join(root, 'node_modules/vite/dist/node/index.js'));
  await vite.build({
    root: join(root, 'packages/console'),
    logLevel: 'warn',
    build: { outDir: join(root, 'dist/console'), emptyOutDir: true },
  });
}
const alone = await buildStandalone(join(root, 'dist'));
if (existsSync(join(root, 'dist/console'))) {
  // Offered for download on the console's page Verify.
  for (const file of alone.slice(0, 2)) await cp(file, join(root, 'dist/console/verify', basename(file)));
}
