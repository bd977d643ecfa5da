import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addWitnessVerbs(program: Command): void {
  const witness = addGroup(program, 'witness', 'cosign the logs of others: serve, key');
  const own = () => [
    option('--directory <directory>', 'of its key and of what it has cosigned').default('witness'),
    option('--name <name>', 'of the witness, as an address without a scheme: witness.example/w1').makeOptionMandatory(),
  ];
  addVerb(witness, {
    usage: 'serve',
    summary: 'run a witness',
    details:
      'Cosigns the checkpoints of the logs that are named, each only if it extends the one before (c2sp.org/tlog-witness). Run it where the operators of those logs have no say. The same program stands alone as `gatehouse-witness`.',
    options: [
      ...own(),
      option('--log <key...>', 'keys of the logs (NAME+HASH+KEY), or files with them').makeOptionMandatory(),
      option('--host <address>', 'address to listen on').default('127.0.0.1'),
      option('--port <number>', 'port to listen on; 0 takes a free one').default('4290'),
    ],
    examples: [
      ['witness serve --name witness.example/w1 --log gatehouse.vkey', 'For the log whose key is in that file.'],
    ],
    load: async () => (await import('../commands/witness.ts')).serve,
  });
  addVerb(witness, {
    usage: 'key',
    summary: 'print the key of a witness, for policies',
    options: own(),
    examples: [['witness key --name witness.example/w1', 'It is made on first use.']],
    load: async () => (await import('../commands/witness.ts')).key,
  });
}
