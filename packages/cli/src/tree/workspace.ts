import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

const kinds = ['tool', 'prompt', 'resource-template', 'resource', 'instructions'];

export function addWorkspaceVerbs(program: Command): void {
  addVerb(program, {
    usage: 'tools',
    summary: 'list the tools of all servers, with tier and state',
    options: [option('--server <name>', 'of this server only')],
    server: true,
    examples: [['tools --server shop', 'What is registered, and which tier it has.']],
    load: async () => (await import('../commands/tools.ts')).tools,
  });
  const definitions = addGroup(program, 'definitions', 'what servers say of their tools: list, diff, approve, reject');
  const kind = () => option('--kind <kind>', 'what it is').choices(kinds).default('tool');
  const digest = () =>
    option('--digest <digest>', 'the one that you have seen, as `definitions diff` shows it').makeOptionMandatory();
  addVerb(definitions, {
    usage: 'list',
    summary: 'list definitions; those that are held wait for review',
    options: [
      option('--server <name>', 'of this server only'),
      option('--state <state>', 'in this state only').choices(['approved', 'held', 'missing']),
    ],
    server: true,
    isDefault: true,
    examples: [['definitions list --state held', 'What waits for review.']],
    load: async () => (await import('../commands/definitions.ts')).listDefinitions,
  });
  addVerb(definitions, {
    usage: 'diff <server/name>',
    summary: 'show what was approved beside what is served now',
    options: [kind()],
    server: true,
    examples: [['definitions diff shop/refund_order', 'Line by line, with the digest to approve or reject.']],
    load: async () => (await import('../commands/definitions.ts')).diffDefinition,
  });
  for (const [decision, what] of [
    ['approve', 'let agents see and call it as it is now'],
    ['reject', 'keep what was approved before, if anything'],
  ] as const) {
    addVerb(definitions, {
      usage: `${decision} <server/name>`,
      summary: `${decision} a definition that is held, as seen`,
      options: [kind(), digest()],
      server: true,
      examples: [
        [`definitions ${decision} shop/refund_order --digest sha256-…`, `${what[0]?.toUpperCase()}${what.slice(1)}.`],
      ],
      load: async () => {
        const { review } = await import('../commands/definitions.ts');
        return review(decision);
      },
    });
  }
  addVerb(definitions, {
    usage: 'pull',
    summary: 'write what approved tools take and give to a file',
    details: 'With it beside the manifests, as definitions.json, policies are checked and tested without a server.',
    options: [option('-o, --output <file>', 'where to (default: standard output)')],
    server: true,
    examples: [['definitions pull -o workspace/definitions.json', 'Commit it; write it again when tools change.']],
    load: async () => (await import('../commands/definitions.ts')).pull,
  });
  const files = () => option('-f, --file <path>', 'directory of manifests, or one file').makeOptionMandatory();
  const prune = () => option('--prune', 'delete what the directory does not have');
  addVerb(program, {
    usage: 'plan',
    summary: 'show what an apply would change',
    options: [files(), prune()],
    server: true,
    examples: [['plan -f workspace', 'Changes nothing.']],
    load: async () => (await import('../commands/workspace.ts')).plan,
  });
  addVerb(program, {
    usage: 'apply',
    summary: 'make the workspace what a directory of manifests says: all or nothing',
    details:
      'Each new or changed tool server is asked what it serves; exit code 1 when one could not be asked. What could let through what is stopped now waits for a second person where an environment asks for one (exit code 3).',
    options: [files(), prune(), option('-m, --message <text>', 'why, for whoever reads the versions of the policies')],
    server: true,
    confirmed: true,
    examples: [
      ['apply -f agent.yaml', 'One file.'],
      ['apply -f workspace', 'Adds and changes; twice is the same as once.'],
      ['apply -f workspace --prune', 'Deletes, too.'],
    ],
    load: async () => (await import('../commands/workspace.ts')).apply,
  });
  addVerb(program, {
    usage: 'export',
    summary: 'write the workspace as manifests',
    options: [
      option('-o, --output <directory>', 'where to (default: standard output)'),
      option('--force', 'replace files that are there'),
    ],
    server: true,
    examples: [['export -o workspace', 'Applying it again changes nothing.']],
    load: async () => (await import('../commands/export.ts')).exportWorkspace,
  });
}
