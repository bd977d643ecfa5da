import type { BreakGlass } from '@gatehouse/protocol';
import { openBrowser } from '../browser.ts';
import { CliFailure } from '../failure.ts';
import { clean, timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

interface AskOptions extends ServerOptions {
  tool?: string[];
  incident?: string;
  reason?: string;
  minutes: string;
  browser: boolean;
}

export const askToBreakGlass: Run<AskOptions> = async ({ args: [task = ''], options, out }) => {
  const { tool: tools = [], incident, reason } = options;
  if (tools.length === 0 || incident === undefined || reason === undefined)
    throw new CliFailure(
      'usage',
      'break-glass.what',
      'Say which --tool, under which --incident, and for what --reason.',
    );
  const seconds = toNumber(options.minutes, '--minutes', 1, 60) * 60;
  const operator = operatorOf(options);
  const glass = await operator.call('POST /break-glass', { body: { task, tools, incident, reason, seconds } });
  const { publicUrl } = await operator.call('GET /status');
  const url = `${publicUrl}/break-glass/${glass.id}`;
  if (out.json) return out.printJson({ ...glass, url });
  out.print(`${glass.id}: two people sign it with their passkeys at ${url}`);
  if (!options.browser) return;
  const problem = await openBrowser(url);
  if (problem !== undefined) out.note(`No browser could be opened (${problem}): open the address yourself.`);
};

export const listBreakGlass: Run<ServerOptions> = async ({ options, out }) => {
  const { items } = await operatorOf(options).call('GET /break-glass');
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('The glass was never broken.');
  out.table(
    ['BREAK-GLASS', 'STATE', 'INCIDENT', 'AGENT', 'TOOLS', 'UNTIL', 'REVIEW'],
    items.map((each) => [
      each.id,
      each.state,
      clean(each.incident),
      each.agent,
      each.tools.join(', '),
      timeOf(each.until) ?? '',
      each.needsReview ? 'waits' : (each.reviewedBy ?? ''),
    ]),
  );
};

export const showBreakGlass: Run<ServerOptions> = async ({ args: [id = ''], options, out }) => {
  const glass = await operatorOf(options).call('GET /break-glass/:id', { params: { id } });
  if (out.json) return out.printJson(glass);
  out.facts(factsOf(glass));
};

export const endBreakGlass: Run<ServerOptions> = async ({ args: [id = ''], options, out }) => {
  const glass = await operatorOf(options).call('POST /break-glass/:id/end', { params: { id } });
  if (out.json) out.printJson(glass);
  else out.print(`${glass.id}: ${glass.state}`);
};

const factsOf = (glass: BreakGlass): [string, string | null][] => [
  ['Break-glass', glass.id],
  ['State', glass.state],
  ['Incident', clean(glass.incident)],
  ['Reason', clean(glass.reason)],
  ['Agent', glass.agent],
  ['Task', glass.task],
  ['Tools', glass.tools.join(', ')],
  ['Minutes', String(glass.seconds / 60)],
  ['Asked by', glass.requestedBy],
  ['Signed by', [glass.firstBy, glass.secondBy].filter(Boolean).join(' and ') || null],
  ['Until', timeOf(glass.until)],
  ['Ended', timeOf(glass.endedAt)],
  ['Reviewed by', glass.reviewedBy],
  ['Review', glass.review && clean(glass.review)],
];
