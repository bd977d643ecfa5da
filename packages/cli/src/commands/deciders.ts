import type { ApprovalProgress, Deputy } from '@gatehouse/protocol';
import { openBrowser } from '../browser.ts';
import { CliFailure } from '../failure.ts';
import { clean, type Output, timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

/** Who has said yes, who can, and what is missing, as lines. */
export function printProgress({ rules, mayApprove, nextEscalationAt }: ApprovalProgress, out: Output): void {
  for (const { name, isMet, order, deny, steps } of rules) {
    const how = `${order === 'serial' ? ', one step after the other' : ''}${deny > 1 ? `, ${deny} noes end it` : ''}`;
    out.print(`${out.style('bold', name ? `Rule ${clean(name)}` : 'Who may')}: ${isMet ? 'met' : 'not met yet'}${how}`);
    for (const { approve, from, distinct, given, missing, isOpen } of steps) {
      const which = `${approve} of ${from.join(', ')}${distinct ? ', each for another of them' : ''}`;
      const left = missing === 0 ? 'done' : isOpen ? `${missing} missing` : `${missing} missing, not open yet`;
      out.print(clean(`  ${which}: ${left}`));
      for (const { person, for: place, as } of given)
        out.print(clean(`    yes of ${person}${place ? ` for ${place}` : ''} (${as})`));
    }
  }
  if (mayApprove.length > 0) out.print(clean(`Can say yes now: ${mayApprove.slice(0, 20).join(', ')}`));
  if (nextEscalationAt !== null) out.print(`Escalates at ${timeOf(nextEscalationAt)}`);
}

export const listOnCall: Run<ServerOptions & { days: string }> = async ({ options, out }) => {
  const days = toNumber(options.days, '--days', 1, 366);
  const { items } = await operatorOf(options).call('GET /on-call', { query: { days } });
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('Nobody is on call: there is no manifest of kind OnCall.');
  out.table(
    ['ON CALL', 'WHO', 'FROM', 'UNTIL'],
    items.flatMap(({ name, shifts }) =>
      shifts.map(({ person, from, until }) => [name, person ?? 'nobody', timeOf(from), timeOf(until)]),
    ),
  );
};

export const listDeputies: Run<ServerOptions & { person?: string; all?: boolean }> = async ({ options, out }) => {
  const { person, all } = options;
  const { items } = await operatorOf(options).call('GET /deputies', { query: { person, ...(all && { all: true }) } });
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('There are none.');
  out.table(
    ['DEPUTY', 'STATE', 'OF', 'WHO', 'FROM', 'UNTIL', 'BY', 'REASON'],
    items.map((each: Deputy) => [
      each.id,
      each.state,
      each.person,
      each.deputy,
      timeOf(each.from),
      timeOf(each.until),
      each.madeBy,
      each.reason,
    ]),
  );
};

interface PageOptions extends ServerOptions {
  browser: boolean;
}

/** What a passkey signs is signed on a page. */
async function showPage(url: string, isWanted: boolean, out: Output): Promise<void> {
  const problem = isWanted ? await openBrowser(url) : undefined;
  if (problem !== undefined) out.note(`No browser could be opened (${problem}): open the address yourself.`);
}

export const nameDeputy: Run<PageOptions> = async ({ options, out }) => {
  const { publicUrl } = await operatorOf(options).call('GET /status');
  const url = `${publicUrl}/settings`;
  if (out.json) out.printJson({ url });
  else out.print(`A person names their deputy, with their passkey, at ${url}`);
  await showPage(url, options.browser, out);
};

export const confirmDeputy: Run<PageOptions> = async ({ args: [id = ''], options, out }) => {
  const operator = operatorOf(options);
  const { items } = await operator.call('GET /deputies', { query: { all: true } });
  const found = items.find((each) => each.id === id);
  if (!found)
    throw new CliFailure('usage', 'deputy.unknown', `There is no deputy "${id}". \`gatehouse deputies\` lists them.`);
  if (found.state !== 'proposed')
    throw new CliFailure('usage', 'deputy.not-proposed', `${id} is ${found.state}: nothing is to be confirmed.`);
  const { publicUrl } = await operator.call('GET /status');
  const url = `${publicUrl}/identity/people/${encodeURIComponent(found.person)}`;
  const { person, deputy, madeBy, from, until } = found;
  if (out.json) out.printJson({ ...found, url });
  else {
    const when = `from ${timeOf(from)} until ${timeOf(until)}`;
    out.print(clean(`${madeBy} proposes that ${deputy} says yes in the place of ${person}, ${when}`));
    out.print(clean(`${person}, or another admin, confirms it with a passkey at ${url}`));
  }
  await showPage(url, options.browser, out);
};

export const withdrawDeputy: Run<ServerOptions> = async ({ args: [id = ''], options, out }) => {
  const withdrawn = await operatorOf(options).call('DELETE /deputies/:id', { params: { id } });
  if (out.json) out.printJson(withdrawn);
  else out.print(clean(`${withdrawn.deputy} no longer says yes in the place of ${withdrawn.person}`));
};
