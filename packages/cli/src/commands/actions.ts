import type { Resolution } from '@gatehouse/protocol';
import { CliFailure } from '../failure.ts';
import { takeUpTo } from '../items.ts';
import { clean, timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

export const listUnknown: Run<ServerOptions & { agent?: string; limit: string }> = async ({ options, out }) => {
  const { agent } = options;
  const limit = toNumber(options.limit, '--limit', 1, 100_000);
  const items = await takeUpTo(operatorOf(options).list('GET /unknown-actions', { query: { agent } }), limit);
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('It is known of every action that could change something what came of it.');
  out.table(
    ['SENT', 'ACTION', 'AGENT', 'TOOL', 'WHY NOBODY KNOWS'],
    items.map((each) => [
      timeOf(each.sentAt) ?? '',
      each.actionId,
      each.agent,
      each.tool,
      clean(each.detail).slice(0, 200),
    ]),
  );
};

interface ResolveOptions extends ServerOptions {
  happened?: boolean;
  notHappened?: boolean;
  cannotBeKnown?: boolean;
  note: string;
  reference?: string;
}

export const resolveUnknown: Run<ResolveOptions> = async ({ args: [id = ''], options, out }) => {
  const { note, reference } = options;
  const body: Resolution = { what: whatOf(options), note, ...(reference !== undefined && { reference }) };
  const summary = await operatorOf(options).call('POST /actions/:id/resolve', { params: { id }, body });
  if (out.json) out.printJson(summary);
  else out.print(`${clean(id)}: ${inWords[body.what]}, says ${clean(summary.resolution?.by ?? '')}`);
};

const inWords: Record<Resolution['what'], string> = {
  happened: 'it has happened',
  'not-happened': 'it has not happened',
  'cannot-be-known': 'it can’t be known whether it happened',
};

function whatOf({ happened, notHappened, cannotBeKnown }: ResolveOptions): Resolution['what'] {
  if (happened) return 'happened';
  if (notHappened) return 'not-happened';
  if (cannotBeKnown) return 'cannot-be-known';
  throw new CliFailure('usage', 'resolve.what', 'Give --happened, --not-happened or --cannot-be-known.');
}
