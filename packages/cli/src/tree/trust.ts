import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addTrustVerbs(program: Command): void {
  const load = () => import('../commands/trust.ts');
  const trust = addGroup(program, 'trust', 'trust rules: whom outside issuers may vouch for');
  addVerb(trust, {
    usage: 'list',
    summary: 'list trust rules, whom each stands for, and when it was last of use',
    server: true,
    isDefault: true,
    examples: [['trust list', 'Rules that nobody has used can go.']],
    load: async () => (await load()).listTrust,
  });
  addVerb(trust, {
    usage: 'lint',
    summary: 'say what is unwise in the applied rules',
    details: 'Ends with 1 when there is something to look at.',
    server: true,
    examples: [['trust lint', 'Patterns, missing refs, names that can be taken over …']],
    load: async () => (await load()).lintTrust,
  });
  addVerb(trust, {
    usage: 'test',
    summary: 'say whom a token would stand for, and why not',
    details: 'Nothing is used up and the token is kept nowhere. Ends with 1 when it is refused.',
    options: [option('--token <file>', 'file with the token; - reads standard input').makeOptionMandatory()],
    server: true,
    examples: [
      ['trust test --token token.jwt', 'Every rule of its issuer, check by check.'],
      ['trust test --token - --json', 'From a pipe.'],
    ],
    load: async () => (await load()).testTrust,
  });
}

export function addWorkloadVerbs(program: Command): void {
  const load = () => import('../commands/workloads.ts');
  const workload = addGroup(program, 'workload', 'services that are not agents: list, suspend, activate, retire, kill');
  const reason = () => option('--reason <text>', 'why; goes into the record').default('');
  addVerb(workload, {
    usage: 'list',
    summary: 'list workloads',
    server: true,
    isDefault: true,
    examples: [['workload list', 'Which agents’ tasks each may start.']],
    load: async () => (await load()).listWorkloads,
  });
  addVerb(workload, {
    usage: 'suspend <name>',
    summary: 'let a workload start nothing until it is activated',
    options: [reason()],
    server: true,
    examples: [['workload suspend ticket-system --reason "moves to another cluster"', 'What it started goes on.']],
    load: async () => (await load()).suspendWorkload,
  });
  addVerb(workload, {
    usage: 'activate <name>',
    summary: 'let a workload start tasks again',
    options: [reason()],
    server: true,
    confirmed: true,
    examples: [['workload activate ticket-system', 'Also after a kill.']],
    load: async () => (await load()).activateWorkload,
  });
  addVerb(workload, {
    usage: 'retire <name>',
    summary: 'end a workload for good, with the tasks that it vouches for',
    options: [reason()],
    server: true,
    examples: [['workload retire ticket-system', 'Its name is not used again.']],
    load: async () => (await load()).retireWorkload,
  });
  addVerb(workload, {
    usage: 'kill <name>',
    summary: 'stop a workload and the tasks that it vouches for, now',
    options: [reason()],
    server: true,
    examples: [['workload kill ticket-system --reason "its host was broken into"', 'Everywhere.']],
    load: async () => (await load()).killWorkload,
  });
}
