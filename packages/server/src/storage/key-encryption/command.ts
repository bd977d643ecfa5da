import { spawn } from 'node:child_process';
import { GatehouseError } from '../../platform/index.ts';
import { keyFromText } from './key-text.ts';
import { keyEncryptionLimits } from './limits.ts';
import type { LocalKeySource, SourceSurroundings } from './types.ts';

/**
 * `command:PROGRAM ARGUMENT …`: its standard output is the key. No shell: words are parted by spaces, and quotes mean nothing. Its
 * standard error goes where the server's goes, never into an error of ours: nobody knows what is in it.
 */
export function commandSource(
  command: string,
  { environment }: SourceSurroundings,
  timeoutMs = keyEncryptionLimits.commandTimeoutMs,
): LocalKeySource {
  const [program, ...args] = command.split(/\s+/).filter((word) => word !== '');
  if (program === undefined)
    throw new GatehouseError(
      'bad-request',
      'key-encryption.spec',
      'command: names no program. Write command:PROGRAM ARGUMENT …',
    );
  const { commandOutputBytes } = keyEncryptionLimits;
  const name = `command:${program}`;
  const failed = (why: string, cause?: unknown) =>
    new GatehouseError(
      'unavailable',
      'key-encryption.unavailable',
      `The command ${program}, which should print the key-encryption key, ${why}. Run it by hand as the server's user to see why.`,
      { cause },
    );
  return {
    kind: 'local',
    name,
    read: () =>
      new Promise((resolve, reject) => {
        const child = spawn(program, args, { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
        const chunks: Buffer[] = [];
        let size = 0;
        let ended = '';
        const stop = (why: string) => {
          ended ||= why;
          child.kill('SIGKILL');
          // A grandchild may hold the pipe open; it is not waited for.
          child.stdout.destroy();
        };
        const timer = setTimeout(() => stop(`did not end within ${timeoutMs / 1000} s`), timeoutMs);
        child.stdout.on('data', (chunk: Buffer) => {
          size += chunk.byteLength;
          if (size > commandOutputBytes) stop(`printed more than ${commandOutputBytes} bytes`);
          else chunks.push(chunk);
        });
        child.once('error', (cause: NodeJS.ErrnoException) => {
          clearTimeout(timer);
          reject(failed(`could not be started (${cause.code})`, cause));
        });
        child.once('close', (code, signal) => {
          clearTimeout(timer);
          if (ended) return reject(failed(ended));
          if (code !== 0) return reject(failed(`ended with ${code ?? signal}`));
          try {
            resolve(keyFromText(Buffer.concat(chunks).toString('utf8'), `The output of the command ${program}`));
          } catch (error) {
            reject(error);
          }
        });
      }),
  };
}
