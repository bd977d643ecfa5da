import { type Command, Option } from 'commander';
import { CliFailure } from './failure.ts';
import { createOutput, type Output } from './output.ts';

/** What a verb gets: its arguments and options as given, and where to write. It gives an exit code when it is not 0. */
export interface Verb<O> {
  args: string[];
  options: O;
  out: Output;
}

export type Run<O> = (verb: Verb<O>) => Promise<unknown>;

export interface VerbSpec<O> {
  /** As commander has it: `kill <agent>`. */
  usage: string;
  summary: string;
  /** More than the summary says, where that is needed. */
  details?: string;
  options?: Option[];
  /** Command lines without the leading `gatehouse`, and what they do. */
  examples: [string, string][];
  /** Asks a server: adds `--url` and `--data-dir`. */
  server?: boolean;
  /** With a session of the command line it is confirmed in a browser: adds what says how. */
  confirmed?: boolean;
  /** The verb that a group runs when it is given no other. */
  isDefault?: boolean;
  /** Loads what runs it, and only then. */
  load: () => Promise<Run<O>>;
}

/** Examples of each verb; the reference is made from them, too. */
export const examplesOf = new WeakMap<Command, [string, string][]>();
export const detailsOf = new WeakMap<Command, string>();

export function addVerb<O>(parent: Command, spec: VerbSpec<O>): Command {
  const command = parent.command(spec.usage, { isDefault: spec.isDefault ?? false }).description(spec.summary);
  for (const option of spec.options ?? []) command.addOption(option);
  if (spec.server) for (const option of serverOptions()) command.addOption(option);
  if (spec.confirmed) for (const option of confirmationOptions()) command.addOption(option);
  command.option('--json', 'print the answer as JSON');
  describe(command, spec);
  command.action(async () => {
    const options = command.opts<O & { json?: boolean }>();
    const run = await spec.load();
    const out = createOutput(options.json === true);
    // Not process.exit: what was written to a pipe has to arrive.
    const result = await run({ args: command.args, options, out });
    process.exitCode = typeof result === 'number' ? result : 0;
  });
  return command;
}

/** A group of verbs: `gatehouse log …`. */
export function addGroup(parent: Command, name: string, summary: string): Command {
  return parent.command(name).description(summary);
}

export function describe(command: Command, spec: { details?: string; examples: [string, string][] }): void {
  examplesOf.set(command, spec.examples);
  const lines: string[] = [];
  if (spec.details) {
    detailsOf.set(command, spec.details);
    lines.push('', spec.details);
  }
  if (spec.examples.length > 0) {
    lines.push('', 'Examples:');
    for (const [line, what] of spec.examples) lines.push(`  $ gatehouse ${line}`, `      ${what}`);
  }
  command.addHelpText('after', lines.join('\n'));
}

export function option(flags: string, description: string): Option {
  return new Option(flags, description);
}

export function serverOptions(): Option[] {
  return [
    option('--url <url>', 'address of the server (or GATEHOUSE_URL; default http://localhost:4283)'),
    option(
      '--data-dir <directory>',
      'its data directory, for the operator token (or GATEHOUSE_DATA_DIR; default .gatehouse)',
    ),
    authoritiesOption(),
  ];
}

/** For requests that `gatehouse login` alone is not enough for. */
export function confirmationOptions(): Option[] {
  return [
    option('--wait', 'wait until it is confirmed in a browser (default on a terminal)'),
    option('--no-wait', 'print where to confirm it, and exit with 3'),
    option('--no-browser', 'open no browser; print the address'),
    confirmationOption(),
  ];
}

export const confirmationOption = (): Option =>
  option('--confirmation <id>', 'use the confirmation that an earlier try asked for');

export const authoritiesOption = (): Option =>
  option(
    '--cacert <file>',
    'authorities (PEM) that the server’s certificate is verified with, in place of the system’s (or GATEHOUSE_CACERT)',
  );

/** A whole number of an option. */
export function toNumber(text: string, name: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new CliFailure(
    'usage',
    'option.invalid',
    `${name} must be a whole number from ${min} to ${max}, not "${text}".`,
  );
}
