import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import react from '@vitejs/plugin-react';
import { build, defineConfig, type Plugin } from 'vite';

/**
 * The server serves what this builds; there is no development server, because passkeys and cookies belong to the server's origin.
 * While working on the console: `npm start` once, then `vite build --watch --outDir ../../dist/console` here, and reload.
 */
export default defineConfig({
  plugins: [react(), serviceWorker()],
  build: {
    target: 'es2023',
    // The content security policy allows no inline script, and no data: address but for images.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});

/** Builds the service worker, one file under the address that it is known by, once it is known which files `index.html` begins with and what is in them. */
function serviceWorker(): Plugin {
  return {
    name: 'service-worker',
    async writeBundle({ dir = '' }) {
      const page = readFileSync(join(dir, 'index.html'), 'utf8');
      const paths = [...page.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path = '']) => path);
      const shell = Object.fromEntries(paths.sort().map((path) => [path, digestOf(join(dir, path))]));
      await build({
        configFile: false,
        publicDir: false,
        logLevel: 'error',
        define: { __SHELL__: JSON.stringify(shell) },
        build: {
          target: 'es2023',
          outDir: dir,
          emptyOutDir: false,
          rolldownOptions: {
            input: join(import.meta.dirname, 'src/worker/sw.ts'),
            output: { format: 'iife', entryFileNames: 'sw.js' },
          },
        },
      });
    },
  };
}

const digestOf = (file: string) => hash('sha256', readFileSync(file), 'base64');
