import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { CommanderError } from 'commander';
import { exitCodes } from './exit-codes.ts';
import { toFailure } from './failure.ts';
import { clean } from './output.ts';
import { createProgram } from './program.ts';

// Compiled code is kept beside the bundle, where whoever may change the one may change the other. Saves a tenth of a start.
if (import.meta.filename.endsWith('.mjs')) enableCompileCache(join(import.meta.dirname, '.compile-cache'));

/** A reader that has read enough (`gatehouse log tail | head`) is no failure. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(exitCodes.ok);
});

try {
  await createProgram().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has written its message, or the help that was asked for.
    process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  } else {
    const failure = toFailure(error);
    if (process.argv.includes('--json')) {
      const { code, message, exitCode, more } = failure;
      process.stderr.write(`${JSON.stringify({ error: { code, detail: message, exitCode, ...more } })}\n`);
    } else {
      process.stderr.write(`gatehouse: ${failure.message.split('\n').map(clean).join('\n')}\n`);
      if (failure.code === 'internal' && failure.cause instanceof Error && process.env.GATEHOUSE_DEBUG)
        process.stderr.write(`${failure.cause.stack ?? ''}\n`);
    }
    // A server that could not start leaves parts of itself open. What was written to a pipe has to arrive all the same.
    process.stdout.write('', () => process.exit(failure.exitCode));
  }
}
