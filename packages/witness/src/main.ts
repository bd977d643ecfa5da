import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { VerifierError } from '@gatehouse/verifier';
import { logKeysIn, startWitness, WitnessError, witnessVkey } from './index.ts';

const HELP = `gatehouse-witness key   --directory DIRECTORY --name NAME
gatehouse-witness serve --directory DIRECTORY --name NAME --log VKEY-OR-FILE… [--host ADDRESS] [--port NUMBER]

key      prints the witness's public key, for the policies of those who trust it; makes the key on first use
serve    cosigns the checkpoints of the logs named, each only if it extends the one before (c2sp.org/tlog-witness)
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    directory: { type: 'string', default: 'witness' },
    name: { type: 'string' },
    log: { type: 'string', multiple: true, default: [] },
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '4290' },
    help: { type: 'boolean', default: false },
  },
});

const fail = (why: string): never => {
  process.stderr.write(`${why}\n\n${HELP}`);
  process.exit(64);
};

const verb = positionals[0];
if (values.help) process.stdout.write(HELP);
else if (verb === 'key') printKey();
else if (verb === 'serve') await serve();
else fail('say key or serve');

function printKey(): void {
  const name = values.name ?? fail('--name is missing');
  try {
    process.stdout.write(`${witnessVkey(values.directory, name)}\n`);
  } catch (error) {
    refuse(error);
  }
}

function refuse(error: unknown): never {
  if (!(error instanceof WitnessError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(64);
}

async function serve(): Promise<void> {
  const name = values.name ?? fail('--name is missing');
  const logs = values.log.flatMap((each) => (existsSync(each) ? logKeysIn(readFileSync(each, 'utf8')) : [each]));
  if (logs.length === 0) fail('no log is named with --log');
  try {
    const witness = await startWitness({
      directory: values.directory,
      name,
      logs,
      host: values.host,
      port: Number(values.port),
      report: (line) => void process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), ...line })}\n`),
    });
    process.stdout.write(`${JSON.stringify({ url: witness.url, vkey: witness.vkey, logs: logs.length })}\n`);
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.on(signal, () => void witness.close().then(() => process.exit(0)));
  } catch (error) {
    if (error instanceof VerifierError) fail(error.message);
    refuse(error);
  }
}
