import { setTimeout as sleep } from 'node:timers/promises';
import type { ProposalState, ProposalView } from '@gatehouse/protocol';
import { openBrowser } from '../browser.ts';
import { exitCodes } from '../exit-codes.ts';
import { takeUpTo } from '../items.ts';
import { clean, type Output, timeOf } from '../output.ts';
import { printChanges } from '../plan-lines.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

export const proposals: Run<ServerOptions & { all?: boolean; limit: string }> = async ({ options, out }) => {
  const limit = toNumber(options.limit, '--limit', 1, 100_000);
  const all = await takeUpTo(operatorOf(options).list('GET /policy/proposals'), limit);
  const items = options.all ? all : all.filter(({ state }) => state === 'open');
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('No change waits for a second person.');
  out.table(
    ['PROPOSAL', 'STATE', 'BY', 'UNTIL', 'RELAXES', 'WHERE'],
    items.map((each) => [
      String(each.number),
      each.state,
      each.author,
      timeOf(each.expiresAt),
      each.relaxes
        .map(({ kind, name, why }) => `${kind} ${name}: ${why}`)
        .join('; ')
        .slice(0, 120),
      each.url,
    ]),
  );
};

const exitByState: Record<ProposalState, number> = {
  open: exitCodes.pending,
  shipped: exitCodes.ok,
  rejected: exitCodes.refused,
  expired: exitCodes.refused,
  stale: exitCodes.refused,
};

const POLL_MS = 1_000;

export const ship: Run<ServerOptions & { wait?: boolean; browser: boolean }> = async ({ args, options, out }) => {
  const [number = ''] = args;
  const operator = operatorOf(options);
  let proposal: ProposalView = await operator.call('GET /policy/proposals/:number', { params: { number } });
  if (!out.json) show(proposal, out);
  if (proposal.state === 'open') {
    const who = proposal.author.startsWith('person:')
      ? 'A second person'
      : 'It takes two people, where there are two: each';
    if (!out.json) out.print(`${who} ships it with a passkey at ${proposal.url}`);
    if (options.browser) {
      const problem = await openBrowser(proposal.url);
      if (problem !== undefined) out.note(`No browser could be opened (${problem}): open the address yourself.`);
    }
    while (options.wait && proposal.state === 'open') {
      await sleep(POLL_MS);
      proposal = await operator.call('GET /policy/proposals/:number', { params: { number } });
    }
  }
  if (out.json) out.printJson(proposal);
  else if (proposal.state !== 'open')
    out.print(`${proposal.number}: ${proposal.state}${proposal.decidedBy ? ` by ${clean(proposal.decidedBy)}` : ''}`);
  return exitByState[proposal.state];
};

export const reject: Run<ServerOptions & { reason: string }> = async ({ args: [number = ''], options, out }) => {
  const proposal = await operatorOf(options).call('POST /policy/proposals/:number/reject', {
    params: { number },
    body: { reason: options.reason },
  });
  if (out.json) out.printJson(proposal);
  else out.print(`${proposal.number}: ${proposal.state}`);
};

function show(proposal: ProposalView, out: Output): void {
  out.facts([
    ['Proposal', proposal.number],
    ['State', proposal.state],
    ['By', proposal.author],
    ['Why', proposal.note],
    ['Against version', proposal.base],
    ['Until', timeOf(proposal.expiresAt)],
    ['First yes', proposal.agreedBy],
    ['Digest', proposal.digest],
  ]);
  printChanges(proposal.changes, out);
  for (const { kind, name, why } of proposal.relaxes)
    out.print(out.style('yellow', `! ${kind} ${clean(name)}: ${clean(why)}`));
  const { replay } = proposal;
  if (replay)
    out.print(
      `Over ${replay.replayed} recorded decisions it would newly stop ${replay.stops.count}, let run ${replay.runs.count}, have wait ${replay.waits.count}.`,
    );
}
