import { hash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import react from '@vitejs/plugin-react';
import { build, defineConfig, type Plugin, type Rolldown } from 'vite';

/**
 * The server serves what this builds; there is no development server, because passkeys and cookies belong to the server's origin.
 * While working on the console: `npm start` once, then `vite build --watch --outDir ../../dist/console` here, and reload.
 */
export default defineConfig({
  plugins: [react(), mantineStyles(), serviceWorker()],
  build: {
    target: 'es2023',
    // The content security policy allows no inline script, and no data: address but for images.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});

/** Each part of Mantine brings its own styles, so that a page loads those of what it shows. What a part is made of comes before it, as its styles must. */
function mantineStyles(): Plugin {
  return {
    name: 'mantine-styles',
    transform(code, id) {
      const [, core, part] = id.match(/^(.*\/@mantine\/core)\/esm\/.*\/(\w+)\/\2\.mjs$/) ?? [];
      if (!core || !existsSync(`${core}/styles/${part}.css`)) return null;
      return { code: `${code}\nimport '@mantine/core/styles/${part}.css';`, map: null, moduleSideEffects: true };
    },
  };
}

/** Builds the service worker, one file under the address that it is known by, once it is known which files every page begins with, and what is in them. */
function serviceWorker(): Plugin {
  return {
    name: 'service-worker',
    async writeBundle({ dir = '' }, bundle) {
      const page = readFileSync(join(dir, 'index.html'), 'utf8');
      const first = [...page.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map(([, file = '']) => file);
      const paths = [...new Set([...first, ...filesOfShell(bundle)])].sort();
      const shell = Object.fromEntries(paths.map((path) => [`/${path}`, digestOf(join(dir, path))]));
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

/** What is around every page, and what that is made of. */
function filesOfShell(bundle: Rolldown.OutputBundle): Set<string> {
  const files = new Set<string>();
  const add = (file: string): void => {
    const chunk = bundle[file];
    if (chunk?.type !== 'chunk' || files.has(file)) return;
    files.add(file);
    for (const style of chunk.viteMetadata?.importedCss ?? []) files.add(style);
    for (const other of chunk.imports) add(other);
  };
  const shell = Object.values(bundle).find(
    (each) => each.type === 'chunk' && each.facadeModuleId?.endsWith('/app/shell.tsx'),
  );
  if (!shell) throw new Error('There is no chunk of app/shell.tsx.');
  add(shell.fileName);
  return files;
}

const digestOf = (file: string) => hash('sha256', readFileSync(file), 'base64');
