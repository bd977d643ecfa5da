import { join } from 'node:path';
import { Command } from 'commander';

const program = new Command('gatehouse').description('Identity and access management for AI agents');

program
  .command('start')
  .description('run the server')
  .option(
    '--data-dir <directory>',
    'where the database, keys and working directories live',
    process.env.GATEHOUSE_DATA_DIR ?? '.gatehouse',
  )
  .option('--host <address>', 'address to listen on', '127.0.0.1')
  .option('--port <number>', 'port to listen on', '4283')
  .option('--public-url <url>', 'address that people and agents use')
  .option('--database <url>', '"sqlite" (in the data directory) or a postgres:// URL', 'sqlite')
  .option(
    '--workspace <directory>',
    'manifests to apply to an empty database',
    join(import.meta.dirname, '..', 'examples', 'quickstart'),
  )
  .option('--no-workspace', 'apply nothing')
  .action(async (options) => {
    const { start } = await import('./start.ts');
    await start({
      dataDir: options.dataDir,
      host: options.host,
      port: Number(options.port),
      ...(options.publicUrl !== undefined && { publicUrl: options.publicUrl }),
      database: options.database,
      workspace: options.workspace === false ? null : options.workspace,
      consoleDir: join(import.meta.dirname, 'console'),
    });
  });

await program.parseAsync();
