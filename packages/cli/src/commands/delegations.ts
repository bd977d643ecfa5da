import type { Delegation } from '@gatehouse/protocol';
import { openBrowser } from '../browser.ts';
import { takeUpTo } from '../items.ts';
import { clean, type Output, timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

interface ListOptions extends ServerOptions {
  agent?: string;
  user?: string;
  limit: string;
}

export const listDelegations: Run<ListOptions> = async ({ options, out }) => {
  const { agent, user } = options;
  const limit = toNumber(options.limit, '--limit', 1, 100_000);
  const items = await takeUpTo(operatorOf(options).list('GET /delegations', { query: { agent, user } }), limit);
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('There are none.');
  out.table(
    ['DELEGATION', 'STATE', 'PERSON', 'AGENT', 'TEMPLATE', 'UNTIL', 'REVIEW BY', 'USED', 'LAST USED'],
    items.map((each) => [
      each.id,
      each.state,
      each.user,
      each.agent,
      each.template,
      timeOf(each.expiresAt),
      timeOf(each.reviewDueAt),
      String(each.used),
      timeOf(each.lastUsedAt) ?? '',
    ]),
  );
};

interface PageOptions extends ServerOptions {
  template?: string;
  browser: boolean;
}

export const grantDelegation: Run<PageOptions> = async ({ args: [agent = ''], options, out }) => {
  const operator = operatorOf(options);
  const { name } = await operator.call('GET /agents/:name', { params: { name: agent } });
  const { publicUrl } = await operator.call('GET /status');
  const query = new URLSearchParams({ agent: name, ...(options.template && { template: options.template }) });
  await showPage(`${publicUrl}/delegations/new?${query}`, `A person lets ${name} act for them at`, options, out);
};

export const reviewDelegation: Run<PageOptions> = async ({ args: [id = ''], options, out }) => {
  const { publicUrl } = await operatorOf(options).call('GET /status');
  const url = `${publicUrl}/delegations?review=${encodeURIComponent(id)}`;
  await showPage(url, `The person of ${clean(id)} lets it stand at`, options, out);
};

export const revokeDelegation: Run<ServerOptions> = async ({ args: [id = ''], options, out }) => {
  const revoked: Delegation = await operatorOf(options).call('DELETE /delegations/:id', { params: { id } });
  if (out.json) out.printJson(revoked);
  else out.print(`${revoked.id}: ${revoked.state}; ${revoked.agent} acts no more for ${revoked.user} under it`);
};

async function showPage(url: string, words: string, { browser }: PageOptions, out: Output): Promise<void> {
  if (out.json) out.printJson({ url });
  else out.print(`${words} ${url}`);
  if (!browser) return;
  const problem = await openBrowser(url);
  if (problem !== undefined) out.note(`No browser could be opened (${problem}): open the address yourself.`);
}
