import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  confirmedReader,
  consistencyProof,
  formatVerifierKey,
  openCheckpoint,
  parseVerifierKey,
  verifierKey,
  verifyPublished,
} from '@gatehouse/verifier';
import { directorySource } from '@gatehouse/verifier/node';
import { startWitness } from '@gatehouse/witness';
import { manifests } from '../../test/support/fixtures.ts';
import { freePort } from '../../test/support/free-port.ts';
import { startWorkspace } from '../../test/support/workspace.ts';
import type { Part } from '../part.ts';
import { cacheDirectory, goHelp, needProgram, prepare } from './cache.ts';
import { createCases, resultOf } from './cases.ts';

const source = join(import.meta.dirname, 'go-tlog');
const TIMEOUT_MS = 60_000;

/** Go's own note and tlog, Tessera, and a witness of transparency-dev, held against the log, its receipts and the witness. */
export const tlog: Part = {
  heading: 'Transparency logs of others (law 7)',
  async run() {
    const go = /go version go(\S+)/.exec(needProgram('go', 'version', goHelp))?.[1];
    const program = join(cacheDirectory('go-tlog'), 'go-tlog');
    await prepare(
      'Building the Go programs (a minute at first, for their modules)',
      'go',
      ['build', '-o', program, '.'],
      {
        cwd: source,
        env: { GOFLAGS: '-mod=readonly -buildvcs=false' },
      },
    );
    const modules = readFileSync(join(source, 'go.mod'), 'utf8');
    const version = (name: string) => new RegExp(`${name} (\\S+)`).exec(modules)?.[1];
    const versions = `golang.org/x/mod ${version('golang.org/x/mod')}, Tessera ${version('transparency-dev/tessera')}, transparency-dev/witness ${version('transparency-dev/witness')}, Go ${go}`;
    const how =
      'A running server publishes its log to a directory and has it cosigned by the witness of transparency-dev; Tessera and Go’s own libraries check what came of it. The other way round, a Tessera log gets its cosignatures from our witness, and our verifier checks what Tessera published (conformance/foreign/go-tlog).';
    return resultOf(versions, how, await runAll(program));
  },
};

async function runAll(program: string) {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-tlog-'));
  const children: ChildProcess[] = [];
  const { cases, check } = createCases();
  const run = (...args: string[]) =>
    new Promise<void>((resolve, reject) => {
      execFile(program, args, { timeout: TIMEOUT_MS }, (error, stdout, stderr) =>
        error ? reject(new Error(`${stdout.trim().slice(-500)} ${stderr.trim().slice(-300)}`)) : resolve(),
      );
    });
  const dataDir = join(directory, 'data');
  const published = join(directory, 'published');
  const port = await freePort();
  let workspace = await startWorkspace({ dataDir, port });
  try {
    const vkey = (await workspace.operator('GET /logs')).items[0]?.vkey ?? '';
    await workspace.apply(manifests());
    await workspace.server.close();

    const child = spawn(program, ['witness', vkey], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const witness = JSON.parse(line) as { url: string; vkey: string };
    const policyFile = join(directory, 'policy');
    writeFileSync(policyFile, `witness go ${witness.vkey} ${witness.url}\nquorum go\n`);
    workspace = await startWorkspace({ dataDir, port, publishLogTo: published, witnesses: { policyFile } });
    const own = join(published, 'one');

    await check('the Go witness cosigns our checkpoints, and again as the log grows', async () => {
      await until(async () => (await cosigned()) > 0);
      const before = await cosigned();
      await workspace.person('owner@example.test');
      await until(async () => (await cosigned()) > before);
      await until(async () => {
        const { items, publishing, witnessing } = await workspace.operator('GET /logs');
        return publishing?.size === items[0]?.size && witnessing?.uncosignedSince === null;
      });
    });
    await check('Tessera’s fsck finds what we publish whole', () => run('fsck', own, vkey));
    await check(
      'Go’s note and tlog, and the cosignature verifier of transparency-dev, accept our receipts',
      async () => {
        const { items } = await workspace.operator('GET /logs');
        for (const sequence of [0, 1, (items[0]?.cosigned?.size ?? 1) - 1]) {
          const params = { log: items[0]?.id ?? '', sequence: String(sequence) };
          const receipt = await workspace.operator('GET /records/:log/:sequence/receipt', { params });
          const file = join(directory, `receipt-${sequence}.json`);
          writeFileSync(file, JSON.stringify(receipt));
          await run('receipt', file, vkey, witness.vkey);
          writeFileSync(file, JSON.stringify({ ...receipt, entry: receipt.entry.replace('gatehouse', 'somebody') }));
          if (receipt.entry.includes('gatehouse')) await refused(run('receipt', file, vkey, witness.vkey));
        }
      },
    );
    await check('Go’s tlog accepts our consistency proofs between every two of eight sizes', async () => {
      const head = await openCheckpoint(readFileSync(join(own, 'checkpoint'), 'utf8'), parseVerifierKey(vkey));
      const read = await confirmedReader(directorySource(own), head);
      const file = join(directory, 'consistency.json');
      const [note = ''] = readFileSync(join(own, 'checkpoint'), 'utf8').split('\n\n');
      const { rootFromHashes } = await import('@gatehouse/verifier');
      for (let size = 1; size <= Math.min(8, head.size); size++) {
        const proof = await consistencyProof(size, head.size, read);
        const root = Buffer.from(await rootFromHashes(size, read)).toString('base64');
        const old = `${head.origin}\n${size}\n${root}\n`;
        const hashes = proof.map((hash) => Buffer.from(hash).toString('base64'));
        writeFileSync(file, JSON.stringify({ old, new: `${note}\n`, proof: hashes }));
        await run('consistency', file);
      }
    });
    await check('Tessera’s fsck finds an edited record', async () => {
      await workspace.server.close();
      const bundle = join(own, `tile/entries/000.p/${readFileSync(join(own, 'checkpoint'), 'utf8').split('\n')[1]}`);
      writeFileSync(bundle, readFileSync(bundle, 'latin1').replace('log.open', 'log.shut'), 'latin1');
      await refused(run('fsck', own, vkey));
    });

    const foreign = createGoKey('tessera.example/log');
    const ours = await startWitness({
      ...{ directory: join(directory, 'witness'), name: 'witness.example/ours', logs: [foreign.vkey] },
      ...{ host: '127.0.0.1', port: 0 },
    });
    await check('our witness cosigns a Tessera log that publishes nothing without it', async () => {
      writeFileSync(join(directory, 'skey'), foreign.skey);
      await run('append', join(directory, 'tessera'), ours.vkey, ours.url, join(directory, 'skey'));
    });
    await check('our verifier finds what Tessera published whole, cosigned by our witness', async () => {
      const report = await verifyPublished({
        source: directorySource(join(directory, 'tessera')),
        vkey: foreign.vkey,
        witnesses: { vkeys: [ours.vkey], quorum: 1 },
      });
      if (!report.ok || report.size !== 300) throw new Error(JSON.stringify(report));
    });
    await ours.close();
    return cases;
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await workspace.close().catch(() => undefined);
    rmSync(directory, { recursive: true, force: true });
  }

  async function cosigned(): Promise<number> {
    return (await workspace.operator('GET /logs')).items[0]?.cosigned?.size ?? 0;
  }
}

async function refused(work: Promise<void>): Promise<void> {
  const isRefused = await work.then(
    () => false,
    () => true,
  );
  if (!isRefused) throw new Error('it was accepted');
}

async function until(what: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + TIMEOUT_MS; Date.now() < end; ) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`not within ${TIMEOUT_MS / 1_000} s`);
}

/** As golang.org/x/mod/sumdb/note writes them. */
function createGoKey(name: string): { vkey: string; skey: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const [seed, raw] = [privateKey.export({ format: 'jwk' }).d, publicKey.export({ format: 'jwk' }).x].map((part) =>
    Buffer.from(part ?? '', 'base64url'),
  ) as [Buffer, Buffer];
  const vkey = formatVerifierKey(verifierKey(name, new Uint8Array(raw)));
  const id = vkey.split('+')[1];
  return { vkey, skey: `PRIVATE+KEY+${name}+${id}+${Buffer.concat([Buffer.of(1), seed]).toString('base64')}` };
}
