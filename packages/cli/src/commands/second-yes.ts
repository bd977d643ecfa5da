import type { SecondYesStatement } from '@gatehouse/protocol';
import {
  dropStatement,
  erasureStatement,
  holdEndStatement,
  retentionStatement,
} from '@gatehouse/protocol/second-yes-statement';
import { openBrowser } from '../browser.ts';
import { exitCodes } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { clean, type Output } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

type Operator = ReturnType<typeof operatorOf>;
interface Options extends ServerOptions {
  browser: boolean;
}

/** Where a second person agrees that a stuck credential is given up. */
export const agreeToDrop: Run<Options> = async ({ args: [id = ''], options, out }) => {
  const operator = operatorOf(options);
  const lease = await operator.call('GET /leases/:id', { params: { id } });
  const asked = lease.state === 'stuck' ? dropStatement(lease) : null;
  return leadThere(operator, { asked, id, page: `/leases/${encodeURIComponent(id)}` }, { options, out });
};

/** The same for what is kept in the log. */
export const agreeToKeeping: Run<Options> = async ({ args: [id = ''], options, out }) => {
  const operator = operatorOf(options);
  return leadThere(operator, { asked: await askedOf(operator, id), id, page: '/log' }, { options, out });
};

async function askedOf(operator: Operator, id: string): Promise<SecondYesStatement | null> {
  if (id.startsWith('hld_')) {
    const hold = (await operator.call('GET /holds')).items.find((each) => each.id === id);
    return hold && hold.endedAt === null ? holdEndStatement(hold) : null;
  }
  if (id.startsWith('ers_')) {
    const erasure = (await operator.call('GET /erasures')).items.find((each) => each.id === id);
    return erasure?.state === 'waiting' ? erasureStatement(erasure) : null;
  }
  const found = (await operator.call('GET /retention')).classes.find(({ name }) => name === id);
  return found?.belowMinimum && !found.belowMinimum.agreed ? retentionStatement(found) : null;
}

async function leadThere(
  operator: Operator,
  { asked, id, page }: { asked: SecondYesStatement | null; id: string; page: string },
  { options, out }: { options: Options; out: Output },
): Promise<number> {
  if (!asked)
    throw new CliFailure('failed', 'second-yes.not-asked', `Nobody waits for a second person’s yes to ${clean(id)}.`);
  const { publicUrl } = await operator.call('GET /status');
  const url = publicUrl + page;
  if (out.json) out.printJson({ statement: asked, url });
  else {
    out.facts(Object.entries(asked).map(([name, value]) => [name, typeof value === 'object' ? inWords(value) : value]));
    out.print(`Somebody else than ${clean(asked.askedBy)} agrees to exactly this with a passkey at ${url}`);
  }
  if (options.browser) {
    const problem = await openBrowser(url);
    if (problem !== undefined) out.note(`No browser could be opened (${problem}): open the address yourself.`);
  }
  return exitCodes.pending;
}

const inWords = (value: object | null): string => (value === null ? 'not known' : JSON.stringify(value));
