import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');

/** Packages that read files of their own, or that few need, or that are not JavaScript: loaded from node_modules when they are used. */
const external = [
  '@cedar-policy/cedar-wasm',
  'oidc-provider',
  '@napi-rs/keyring',
  '@grpc/grpc-js',
  '@grpc/proto-loader',
  '@peculiar/x509',
  'reflect-metadata',
  'pg',
  'pg-native',
  '@modelcontextprotocol/client',
  '@modelcontextprotocol/server',
];

console.error('Building …');
await rm(join(root, 'dist'), { recursive: true, force: true });
await build({
  entryPoints: {
    gatehouse: join(root, 'packages/cli/src/main.ts'),
    'sqlite-worker': join(root, 'packages/server/src/storage/sqlite-worker.ts'),
  },
  outdir: join(root, 'dist'),
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  external: external.flatMap((name) => [name, `${name}/*`]),
  // CommonJS dependencies call require for Node's own modules.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  legalComments: 'none',
  logLevel: 'warning',
});
if (!process.argv.includes('--without-console')) {
  const vite = await import(join(root, 'node_modules/vite/dist/node/index.js'));
  await vite.build({
    root: join(root, 'packages/console'),
    logLevel: 'warn',
    build: { outDir: join(root, 'dist/console'), emptyOutDir: true },
  });
}
