import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');
const verifier = join(root, 'packages/verifier/src');

/** What stands alone, each in one file: the verifier as a program and module, the verifier as a page, the witness. */
export async function buildStandalone(directory: string): Promise<string[]> {
  const common = { bundle: true, format: 'esm', write: true, legalComments: 'none', logLevel: 'warning' } as const;
  const program = join(directory, 'gatehouse-verify.mjs');
  const page = join(directory, 'gatehouse-verify.html');
  const witness = join(directory, 'gatehouse-witness.mjs');
  await build({
    ...common,
    entryPoints: [join(verifier, 'standalone.ts')],
    outfile: program,
    platform: 'neutral',
    target: 'es2023',
    external: ['node:*'],
  });
  const { outputFiles } = await build({
    ...common,
    write: false,
    minify: true,
    platform: 'browser',
    target: 'es2023',
    stdin: {
      contents: `import { mountVerifier } from './page.ts'; mountVerifier(document.getElementById('verifier'));`,
      resolveDir: verifier,
      loader: 'ts',
    },
  });
  const script = outputFiles[0]?.text ?? '';
  if (script.includes('</script')) throw new Error('the script would end its own element');
  const template = await readFile(join(verifier, 'page.html'), 'utf8');
  await writeFile(
    page,
    template.replace('/* SCRIPT */', () => script),
  );
  await build({
    ...common,
    entryPoints: [join(root, 'packages/witness/src/main.ts')],
    outfile: witness,
    platform: 'node',
    target: 'node24',
  });
  return [program, page, witness];
}
