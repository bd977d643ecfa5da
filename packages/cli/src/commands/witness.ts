import { existsSync, readFileSync } from 'node:fs';
import { CliFailure } from '../failure.ts';
import { type Run, toNumber } from '../verb.ts';

interface Options {
  directory: string;
  name: string;
  log: string[];
  host: string;
  port: string;
}

export const key: Run<Options> = async ({ options, out }) => {
  const { witnessVkey } = await import('@gatehouse/witness');
  const vkey = await usable(async () => witnessVkey(options.directory, options.name));
  if (out.json) out.printJson({ vkey });
  else out.print(vkey);
};

/** Until it is told to stop. */
export const serve: Run<Options> = async ({ options, out }) => {
  const { logKeysIn, startWitness } = await import('@gatehouse/witness');
  const { directory, name, host } = options;
  const port = toNumber(options.port, '--port', 0, 65_535);
  const logs = options.log.flatMap((each) => (existsSync(each) ? logKeysIn(readFileSync(each, 'utf8')) : [each]));
  const report = (line: object) => out.note(JSON.stringify({ time: new Date().toISOString(), ...line }));
  const witness = await usable(() => startWitness({ directory, name, logs, host, port, report }));
  if (out.json) out.printJson({ url: witness.url, vkey: witness.vkey }, { line: true });
  else
    out.facts([
      ['Address', witness.url],
      ['Key', witness.vkey],
      ['Logs', logs.length],
    ]);
  await new Promise<void>((stop) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop());
  });
  await witness.close();
};

async function usable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new CliFailure(code === 'EADDRINUSE' ? 'unavailable' : 'usage', 'witness.start', message, { cause });
  }
}
