import type { ArgumentBound, StandingGrant } from '@gatehouse/protocol';
import { takeUpTo } from '../items.ts';
import { clean, cleanJson, timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

interface ListOptions extends ServerOptions {
  all?: boolean;
  agent?: string;
  task?: string;
  limit: string;
}

export const listGrants: Run<ListOptions> = async ({ options, out }) => {
  const { all, agent, task } = options;
  const limit = toNumber(options.limit, '--limit', 1, 100_000);
  const query = { agent, task, inForce: all ? 'false' : 'true' };
  const items = await takeUpTo(operatorOf(options).list('GET /grants', { query }), limit);
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('There are none: each call that needs a person waits for one.');
  out.table(
    ['GRANT', 'STATE', 'AGENT', 'TOOL', 'USED', 'UNTIL', 'GIVEN BY'],
    items.map((each) => [
      each.id,
      each.state,
      each.agent,
      each.tool,
      usedOf(each),
      timeOf(each.terms.until) ?? '',
      clean(each.givenBy),
    ]),
  );
};

export const showGrant: Run<ServerOptions> = async ({ args: [id = ''], options, out }) => {
  const grant = await operatorOf(options).call('GET /grants/:id', { params: { id } });
  if (out.json) return out.printJson(grant);
  out.facts([
    ['Grant', grant.id],
    ['State', grant.state],
    ['Agent', grant.agent],
    ['Task', grant.task],
    ['Tool', grant.tool],
    ['Used', usedOf(grant)],
    ['From', timeOf(grant.terms.from)],
    ['Until', timeOf(grant.terms.until)],
    ['Given by', grant.givenBy],
    ['With the approval', grant.approval],
    ['Ended', timeOf(grant.endedAt)],
    ['By', grant.endedBy],
    ['Reason', grant.reason],
  ]);
  for (const bound of grant.terms.bounds) out.print(clean(`  ${bound.at.join('.')}: ${boundInWords(bound)}`));
  out.print(`${out.style('bold', 'Everything else exactly as approved')}\n${cleanJson(grant.arguments, '  ')}`);
};

export const revokeGrant: Run<ServerOptions & { reason: string }> = async ({ args: [id = ''], options, out }) => {
  const body = { reason: options.reason };
  const grant = await operatorOf(options).call('POST /grants/:id/revoke', { params: { id }, body });
  if (out.json) out.printJson(grant);
  else out.print(`${grant.id}: ${grant.state}`);
};

const usedOf = ({ used, usedSum, terms }: StandingGrant): string =>
  `${used} of ${terms.calls}${terms.sum ? `, ${usedSum} of ${terms.sum.max}` : ''}`;

function boundInWords(bound: ArgumentBound): string {
  if ('oneOf' in bound) return `one of ${bound.oneOf.map((value) => JSON.stringify(value)).join(', ')}`;
  if ('under' in bound) return `below ${bound.under}`;
  return `${bound.min} to ${bound.max}`;
}
