import { openBrowser } from '../browser.ts';
import { CliFailure } from '../failure.ts';
import { clean, timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

interface FilterOptions extends ServerOptions {
  agent?: string;
  user?: string;
}

const filterOf = ({ agent, user }: FilterOptions) => ({
  ...(agent !== undefined && { agent }),
  ...(user !== undefined && { user }),
});

export const listAccounts: Run<FilterOptions> = async ({ options, out }) => {
  const { items } = await operatorOf(options).call('GET /accounts', { query: filterOf(options) });
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('There are none: nobody lets an agent use an account of theirs.');
  out.table(
    ['ACCOUNT', 'STATE', 'PERSON', 'AGENT', 'PROVIDER', 'SCOPES', 'FOR', 'CONNECTED', 'LAST USED'],
    items.map((each) => [
      each.id,
      each.state,
      each.user,
      each.agent,
      each.provider,
      each.scopes.join(' ').slice(0, 80),
      each.destinations?.join(' ') ?? 'not kept',
      timeOf(each.connectedAt),
      timeOf(each.lastUsedAt) ?? '',
    ]),
  );
};

interface ConnectOptions extends ServerOptions {
  scopes?: string;
  browser: boolean;
}

export const connectAccount: Run<ConnectOptions> = async ({ args: [provider = '', agent = ''], options, out }) => {
  const operator = operatorOf(options);
  const { name } = await operator.call('GET /agents/:name', { params: { name: agent } });
  const { items } = await operator.call('GET /providers');
  const known = items.filter(({ type }) => type === 'oauth');
  const declared = known.find((each) => each.name === provider);
  if (!declared)
    throw new CliFailure(
      'usage',
      'provider.unknown',
      `"${clean(provider)}" is no provider of the type oauth. ${known.length > 0 ? `There are ${known.map((each) => each.name).join(', ')}.` : 'There is none: see the how-to "Let agents use people\'s accounts at other systems".'}`,
    );
  const { publicUrl } = await operator.call('GET /status');
  const query = new URLSearchParams({ provider, agent: name, ...(options.scopes && { scopes: options.scopes }) });
  const url = `${publicUrl}/accounts?${query}`;
  const destinations = declared.destinations ?? [];
  if (out.json) return out.printJson({ url, destinations });
  out.print(`A person lets ${clean(name)} use their account at\n${url}`);
  out.print(`Tokens of it are sent to ${clean(destinations.join(', ') || 'no tool server yet')}, and nowhere else.`);
  if (!options.browser) return;
  const problem = await openBrowser(url);
  if (problem !== undefined) out.note(`No browser could be opened (${problem}): open the address yourself.`);
};

export const disconnectAccounts: Run<FilterOptions> = async ({ args: [id], options, out }) => {
  const operator = operatorOf(options);
  const filter = filterOf(options);
  if ((id === undefined) === (Object.keys(filter).length === 0))
    throw new CliFailure('usage', 'accounts.which', 'Say which: the id of an account, or --agent or --user.');
  const ids =
    id === undefined ? (await operator.call('GET /accounts', { query: filter })).items.map((each) => each.id) : [id];
  const items = [];
  for (const each of ids) items.push(await operator.call('DELETE /accounts/:id', { params: { id: each } }));
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('There are none.');
  for (const { id: ended, revoked, problem } of items)
    out.print(
      `${ended}: disconnected, and ${revoked ? 'revoked there' : problem ? `not revoked there yet: ${clean(problem)}` : 'not revoked there: its person takes it back there'}`,
    );
};
