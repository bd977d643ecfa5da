import { exitCodes } from '../exit-codes.ts';
import { takeUpTo } from '../items.ts';
import { clean, timeOf } from '../output.ts';
import { printChanges, printProposed } from '../plan-lines.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

export const versions: Run<ServerOptions & { limit: string }> = async ({ options, out }) => {
  const limit = toNumber(options.limit, '--limit', 1, 100_000);
  const items = await takeUpTo(operatorOf(options).list('GET /policy/versions'), limit);
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('There is no version yet: nothing has been applied.');
  out.table(
    ['VERSION', 'AT', 'BY', 'SHIPPED BY', 'WHY', 'CHANGED'],
    items.map((each) => [
      `${each.number}${each.current ? ' (now)' : ''}`,
      timeOf(each.at),
      each.by,
      each.approvedBy ?? '',
      each.rollbackTo === null ? each.note : `back to ${each.rollbackTo}${each.note ? `: ${each.note}` : ''}`,
      `${each.changes.slice(0, 2).join('; ').slice(0, 100)}${each.changes.length > 2 ? ' …' : ''}`,
    ]),
  );
};

export const showVersion: Run<ServerOptions> = async ({ args: [number = ''], options, out }) => {
  const version = await operatorOf(options).call('GET /policy/versions/:number', { params: { number } });
  if (out.json) return out.printJson(version);
  out.facts([
    ['Version', `${version.number}${version.current ? ' (now)' : ''}`],
    ['Policies', version.policyVersion],
    ['At', timeOf(version.at)],
    ['By', version.by],
    ['Shipped by', version.approvedBy],
    ['Proposal', version.proposal],
    ['Back to', version.rollbackTo],
    ['Why', version.note],
    ['Made of', `${version.manifests.length} manifests`],
  ]);
  for (const line of version.changes) out.print(`  ${clean(line)}`);
};

interface RollbackOptions extends ServerOptions {
  plan?: boolean;
  message: string;
}

export const rollback: Run<RollbackOptions> = async ({ args: [number = ''], options, out }) => {
  const operator = operatorOf(options);
  if (options.plan) {
    const planned = await operator.call('POST /policy/versions/:number/plan', { params: { number } });
    if (out.json) return out.printJson(planned);
    printChanges(planned.changes, out);
    for (const note of planned.notes) out.print(`! ${clean(note)}`);
    return out.note(`Nothing was changed; \`gatehouse policy rollback ${number}\` does it.`);
  }
  const done = await operator.call('POST /policy/versions/:number/rollback', {
    params: { number },
    body: { note: options.message },
  });
  if (out.json) out.printJson(done);
  else {
    printChanges(done.changes, out);
    for (const note of done.notes) out.print(`! ${clean(note)}`);
    if (done.proposed) printProposed(done.proposed, out);
    else out.print(`Went back to version ${number}: this is version ${done.version ?? '–'}.`);
  }
  return done.proposed ? exitCodes.pending : exitCodes.ok;
};

export const remove: Run<ServerOptions & { message: string }> = async ({ args: [name = ''], options, out }) => {
  const done = await operatorOf(options).call('POST /policies/:name/remove', {
    params: { name },
    body: { note: options.message },
  });
  if (out.json) out.printJson(done);
  else {
    printChanges(done.changes, out);
    if (done.proposed) printProposed(done.proposed, out);
  }
  return done.proposed ? exitCodes.pending : exitCodes.ok;
};
