import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CliFailure } from '../failure.ts';
import { clean } from '../output.ts';
import type { Run } from '../verb.ts';
import { type SvidOfOptions, sourceOf } from './spiffe-serve.ts';

/** One X.509-SVID with its key, and the authorities of its trust domain, as PEM files for what speaks no Workload API. */
export const spiffeFetch: Run<SvidOfOptions & { directory: string }> = async ({ options, out }) => {
  const directory = resolve(options.directory);
  const source = await sourceOf(options);
  try {
    const { spiffeId, expiresAt, certificates, privateKey, trustDomain, bundles } = await source.x509();
    const keys = (bundles[trustDomain]?.keys ?? []) as { use?: string; x5c?: string[] }[];
    const authorities = keys.filter(({ use }) => use === 'x509-svid').flatMap(({ x5c = [] }) => x5c);
    const files = {
      cert: join(directory, 'svid.pem'),
      key: join(directory, 'svid.key'),
      bundle: join(directory, 'bundle.pem'),
    };
    write(directory, [
      [files.key, privateKey.export({ type: 'pkcs8', format: 'pem' }) as string],
      [files.cert, pem(certificates)],
      [files.bundle, pem(authorities)],
    ]);
    const until = new Date(expiresAt).toISOString();
    if (out.json) return out.printJson({ spiffeId, expiresAt: until, ...files });
    out.print(`${clean(spiffeId)} until ${until}: ${Object.values(files).join(', ')}`);
  } finally {
    source.close();
  }
};

const pem = (certificates: string[]): string =>
  certificates
    .map((each) => `-----BEGIN CERTIFICATE-----\n${each.replace(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`)
    .join('');

/** Each is put in its place whole, and never written through a link or into a file that others may already read. */
function write(directory: string, files: [path: string, text: string][]): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const [path, text] of files) {
      const made = `${path}.${process.pid}`;
      rmSync(made, { force: true });
      writeFileSync(made, text, { flag: 'wx', mode: 0o600 });
      renameSync(made, path);
    }
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new CliFailure('noInput', 'svid.directory', `The files cannot be written: ${detail}`, { cause });
  }
}
