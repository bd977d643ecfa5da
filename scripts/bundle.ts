import type { BuildOptions } from 'esbuild';

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
  'pdfmake',
  'mysql2',
  '@redis/client',
  'sshpk',
  '@modelcontextprotocol/client',
  '@modelcontextprotocol/server',
];

/** How the command line and the server are bundled. */
export const bundleOptions: BuildOptions = {
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
};
