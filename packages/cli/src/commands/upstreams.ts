import { text } from 'node:stream/consumers';
import type { UpstreamAuthorizationView } from '@gatehouse/protocol';
import { CliFailure } from '../failure.ts';
import { timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

interface InEnvironment extends ServerOptions {
  environment?: string;
}

const POLL_MS = 1_000;

export const listServers: Run<ServerOptions> = async ({ options, out }) => {
  const { items } = await operatorOf(options).call('GET /servers');
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('There are none. `gatehouse apply -f DIR` registers tool servers.');
  const rows = items.flatMap(({ name, tools, authorization }) =>
    authorization.length === 0
      ? [[name, '', String(tools), 'none needed', '', '', '']]
      : authorization.map((each) => [
          name,
          each.environment,
          String(tools),
          each.state,
          each.connectedBy ?? each.clientId ?? '',
          each.scopes.join(' '),
          timeOf(each.expiresAt),
        ]),
  );
  out.table(['SERVER', 'ENVIRONMENT', 'TOOLS', 'AUTHORIZATION', 'AS', 'SCOPES', 'UNTIL'], rows);
  for (const { name, manifest } of items)
    if (manifest.transport.type === 'http' && manifest.transport.txnToken)
      out.note(`${name} is told with each call for whom it is (transaction tokens).`);
  for (const { name, authorization } of items)
    for (const { environment, lastError } of authorization)
      if (lastError !== null) out.note(`${name} (${environment}): ${lastError}`);
};

export const connectServer: Run<InEnvironment & { wait: boolean }> = async ({ args: [name = ''], options, out }) => {
  const operator = operatorOf(options);
  const body = { ...(options.environment !== undefined && { environment: options.environment }) };
  const begun = await operator.call('POST /servers/:name/connect', { params: { name }, body });
  if (out.json && !options.wait) return out.printJson(begun);
  out.note(`Access is granted at ${begun.issuer}, with the scopes: ${begun.scopes.join(' ') || 'as it decides'}.`);
  out.note(
    'Open this address in your browser, signed in to Gatehouse; then sign in with the account that Gatehouse shall use:',
  );
  if (!out.json) out.print(begun.url);
  else out.note(begun.url);
  if (!options.wait) return;
  const startedAt = Date.now();
  while (Date.now() < begun.expiresAt) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const { items } = await operator.call('GET /servers');
    const connected = items
      .find((server) => server.name === name)
      ?.authorization.find((each) => isConnected(each, options.environment, startedAt));
    if (connected === undefined) continue;
    if (out.json) out.printJson(connected);
    else
      out.print(
        `${name} is connected in ${connected.environment}, scopes: ${connected.scopes.join(' ') || 'none named'}.`,
      );
    return;
  }
  throw new CliFailure('failed', 'server.not-connected', 'Nobody granted the access in time. Run it again.');
};

/** Clocks of the two machines may differ by a minute. */
function isConnected(view: UpstreamAuthorizationView, environment: string | undefined, startedAt: number): boolean {
  const isOther = environment !== undefined && view.environment !== environment;
  return !isOther && view.state === 'authorized' && (view.connectedAt ?? 0) > startedAt - 60_000;
}

export const disconnectServer: Run<InEnvironment> = async ({ args: [name = ''], options, out }) => {
  const body = { ...(options.environment !== undefined && { environment: options.environment }) };
  const done = await operatorOf(options).call('POST /servers/:name/disconnect', { params: { name }, body });
  if (out.json) return out.printJson(done);
  out.print(`${name} is disconnected.`);
  if (!done.revoked) out.note('Its authorization server did not revoke the access: take it back there, too.');
};

export const listSecrets: Run<ServerOptions> = async ({ options, out }) => {
  const { items, elsewhere } = await operatorOf(options).call('GET /secrets');
  if (out.json) return out.printJson({ items, elsewhere });
  if (items.length + elsewhere.length === 0)
    return out.note('There are none. `gatehouse secrets set` stores one; see the how-to "Keep long-lived secrets".');
  const all = [
    ...items.map((each) => ({ ...each, kept: 'store', changedAt: each.updatedAt })),
    ...elsewhere.map((each) => ({ ...each, name: `${each.provider}/${each.part}`, usedBy: [each.provider] })),
  ];
  const dueWords = (at: number | null) =>
    at !== null && at <= Date.now() ? out.style('red', `since ${timeOf(at)}`) : timeOf(at);
  out.table(
    ['SECRET', 'KEPT IN', 'FOR', 'SINCE', 'LAST USED', 'OWNER', 'NEW ONE DUE', 'USED BY'],
    all.map((each) => [
      each.name,
      each.kept,
      each.origins.join(' '),
      timeOf(each.changedAt),
      timeOf(each.lastUsedAt),
      each.owner ?? '',
      dueWords(each.rotationDueAt),
      each.usedBy.join(' '),
    ]),
  );
};

interface SetOptions extends ServerOptions {
  for: string[];
  owner?: string;
  rotateDays?: string;
}

export const setSecret: Run<SetOptions> = async ({ args: [name = ''], options, out }) => {
  if (process.stdin.isTTY) out.note('Type or paste the secret, then end with Ctrl-D.');
  const value = (await text(process.stdin)).replace(/\r?\n$/, '');
  if (value === '')
    throw new CliFailure(
      'usage',
      'secret.empty',
      `Standard input was empty. Give the secret there: gatehouse secrets set ${name} --for … < FILE`,
    );
  const { owner, rotateDays } = options;
  const body = {
    value,
    origins: options.for,
    ...(owner !== undefined && { owner }),
    ...(rotateDays !== undefined && { rotateDays: toNumber(rotateDays, '--rotate-days', 1, 3_650) }),
  };
  const stored = await operatorOf(options).call('PUT /secrets/:name', { params: { name }, body });
  if (out.json) out.printJson(stored);
  else out.print(`${stored.name} is set, for ${stored.origins.join(', ')}.`);
};

export const rotateSecret: Run<ServerOptions> = async ({ args: [name = ''], options, out }) => {
  const rotated = await operatorOf(options).call('POST /secrets/:name/rotate', { params: { name } });
  if (out.json) return out.printJson(rotated);
  const due = rotated.rotationDueAt === null ? '' : ` The next is due ${timeOf(rotated.rotationDueAt)}.`;
  out.print(`${name} is rotated: ${rotated.usedBy.join(', ')} signs in with a new one.${due}`);
};

export const deleteSecret: Run<ServerOptions> = async ({ args: [name = ''], options, out }) => {
  const done = await operatorOf(options).call('DELETE /secrets/:name', { params: { name } });
  if (out.json) out.printJson(done);
  else out.print(`${name} is deleted.`);
};
