import type { LeaseState, LeaseView, ShownLease } from '@gatehouse/protocol';
import { abilitiesOf, residualOf } from '@gatehouse/protocol/residual';
import { exitCodes } from '../exit-codes.ts';
import { takeUpTo } from '../items.ts';
import { timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

interface ListOptions extends ServerOptions {
  agent?: string;
  task?: string;
  provider?: string;
  state?: LeaseState;
  open?: boolean;
  limit: string;
}

export const listLeases: Run<ListOptions> = async ({ options, out }) => {
  const { agent, task, provider, state, open } = options;
  const limit = toNumber(options.limit, '--limit', 1, 100_000);
  const query = {
    ...(agent !== undefined && { agent }),
    ...(task !== undefined && { task }),
    ...(provider !== undefined && { provider }),
    ...(state !== undefined && { state }),
    ...(open && { open: 'true' }),
  };
  const items = await takeUpTo(operatorOf(options).list('GET /leases', { query }), limit);
  if (out.json) return out.printJson({ items });
  if (items.length === 0) {
    const isFiltered = Object.keys(query).length > 0;
    return out.note(
      isFiltered
        ? 'There are none like that: `gatehouse leases` lists all.'
        : 'There are none: no tool has needed a credential of its own.',
    );
  }
  out.table(
    ['LEASE', 'STATE', 'PROVIDER', 'AGENT', 'TASK', 'FOR', 'ISSUED', 'ENDS', 'REMAINS', 'WHY'],
    items.map((each) => [
      each.id,
      each.state,
      each.provider,
      each.agent || '-',
      each.task || '-',
      `${each.purpose}${each.ungated ? ' (ungated)' : ''}`,
      timeOf(each.intendedAt),
      timeOf(each.revokedAt ?? each.expiresAt),
      remainsOf(each).short,
      (each.problem ?? each.reason ?? '').slice(0, 80),
    ]),
  );
};

export const showLease: Run<ServerOptions> = async ({ args: [id = ''], options, out }) => {
  const lease = await operatorOf(options).call('GET /leases/:id', { params: { id } });
  if (out.json) return out.printJson(lease);
  out.facts([
    ['Lease', lease.id],
    ['State', lease.state],
    ['Provider', lease.provider],
    ['Name there', lease.name],
    ['Agent', lease.agent || 'nobody: a test'],
    ['Task', lease.task],
    ['Environment', lease.environment],
    ['For', `${lease.purpose}${lease.singleUse ? ', one call' : ''}${lease.ungated ? ', ungated: handed out' : ''}`],
    ['Scope', JSON.stringify(lease.scope)],
    ['Issued', timeOf(lease.createdAt)],
    ['First used', timeOf(lease.activeAt)],
    [
      'Ends',
      `${timeOf(lease.expiresAt)}${lease.clamped.length > 0 ? `; no longer, as ${lease.clamped.join('; ')}` : ''}`,
    ],
    ['Renewed', lease.renewals === 0 ? 'never' : `${lease.renewals} times, last ${timeOf(lease.renewedAt)}`],
    ['Never beyond', lease.bounds[0] ? `${timeOf(lease.bounds[0].at)}: ${lease.bounds[0].why}` : '-'],
    [remainsOf(lease).isStored ? 'Used no more since' : 'Verified gone', timeOf(lease.revokedAt)],
    ['Why it ended', lease.reason],
    ['Failed attempts', lease.attempts],
    ['Fails since', timeOf(lease.failingSince)],
    ['Problem', lease.problem],
    ['To be given up', lease.drop && dropWords(lease.drop)],
    [isOver(lease) ? 'Remains' : 'After its end', remainsOf(lease).words],
  ]);
};

/** What may still work once it is ended, or now. */
function remainsOf(lease: ShownLease): { words: string; short: string; isStored: boolean } {
  const { state, endsByItself, expiresAt, worksUntil } = lease;
  const { words, short, remains, after } = residualOf(abilitiesOf(lease));
  const isStored = remains === 'stored';
  const until = timeOf(Math.max(expiresAt, worksUntil ?? 0));
  switch (state) {
    case 'revoked':
      return { words: after, short: isStored ? short : after.startsWith('nothing') ? 'nothing' : 'sessions', isStored };
    case 'revoking':
    case 'stuck':
    case 'dropped': {
      const most = endsByItself ? `, until ${until} at most` : '';
      const why = state === 'dropped' ? 'it was given up' : 'it is not verified to be gone';
      return {
        words: `may work on, as ${why}${most}`,
        short: endsByItself ? `until ${until}` : 'may work on',
        isStored,
      };
    }
    default:
      return remains === 'until-expiry'
        ? { words: `${words} until ${until}`, short: `until ${until}`, isStored }
        : { words, short, isStored };
  }
}

const isOver = ({ state }: ShownLease) => state !== 'intended' && state !== 'created' && state !== 'active';

const dropWords = ({ askedBy, reason, agreedBy }: NonNullable<LeaseView['drop']>): string =>
  `asked for by ${askedBy}: ${reason}; ${agreedBy === null ? 'nobody has agreed yet' : `agreed to by ${agreedBy}`}`;

interface RevokeOptions extends ServerOptions {
  reason?: string;
}

export const revokeLease: Run<RevokeOptions> = async ({ args: [id = ''], options, out }) => {
  const lease = await operatorOf(options).call('POST /leases/:id/revoke', {
    params: { id },
    body: { reason: options.reason ?? '' },
  });
  if (out.json) return out.printJson(lease);
  const then =
    lease.state === 'revoked'
      ? `verified to be gone since ${timeOf(lease.revokedAt)}`
      : `\`gatehouse leases show ${lease.id}\` says when it is verified to be gone`;
  out.print(`${lease.id}: ${lease.state}; ${then}`);
};

interface RenewOptions extends ServerOptions {
  ttl?: string;
}

export const renewLease: Run<RenewOptions> = async ({ args: [id = ''], options, out }) => {
  const body = options.ttl === undefined ? {} : { ttlSeconds: toNumber(options.ttl, '--ttl', 5, 3_600) };
  const lease = await operatorOf(options).call('POST /leases/:id/renew', { params: { id }, body });
  if (out.json) return out.printJson(lease);
  out.print(`${lease.id}: lives until ${timeOf(lease.expiresAt)}`);
  if (lease.clamped.length > 0) out.note(`No longer, as ${lease.clamped.join('; ')}.`);
};

export const takeOverLeases: Run<ServerOptions> = async ({ options, out }) => {
  const taken = await operatorOf(options).call('POST /leases/take-over');
  if (out.json) return out.printJson(taken);
  out.print(`${taken.leases} credentials of the original are being ended: gatehouse leases --open`);
};

interface DropOptions extends ServerOptions {
  reason: string;
}

export const dropLease: Run<DropOptions> = async ({ args: [id = ''], options, out }) => {
  const body = { reason: options.reason };
  const lease = await operatorOf(options).call('POST /leases/:id/drop', { params: { id }, body });
  if (out.json) return out.printJson(lease);
  out.print(`Asked for. Before ${lease.id} is given up somebody else has to agree: gatehouse leases agree ${lease.id}`);
};

export const listProviders: Run<ServerOptions> = async ({ options, out }) => {
  const { items } = await operatorOf(options).call('GET /providers');
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('There are none. See the how-to "Give tools just-in-time credentials".');
  out.table(
    ['PROVIDER', 'TYPE', 'ENVIRONMENTS', 'CAN', 'REMAINS AFTER ITS END', 'HANDED OUT', 'OPEN', 'STUCK', 'HEALTH'],
    items.map(({ name, type, environments, abilities, direct, openLeases, stuckLeases, ok, problem }) => [
      name,
      type,
      environments.join(', '),
      [
        abilities.canNarrow && 'narrow',
        abilities.canRevoke && 'revoke',
        abilities.canEndSessions && 'end sessions',
        abilities.canRenew && 'renew',
      ]
        .filter(Boolean)
        .join(', ') || '-',
      residualOf(abilities).short,
      direct ? `tier ${direct.tier}, ${direct.maxSeconds} s` : 'no',
      String(openLeases),
      String(stuckLeases),
      ok ? 'ok' : (problem ?? 'failing').slice(0, 80),
    ]),
  );
  const stored = items.filter(({ abilities }) => abilities.isStored).map(({ name }) => name);
  if (stored.length > 0) out.note(`What ${stored.join(', ')} gives works until somebody changes it where it is kept.`);
  const lasting = items.filter(({ abilities }) => abilities.endsOnlyByGatehouse).map(({ name }) => name);
  if (lasting.length > 0)
    out.note(`Only Gatehouse ends what ${lasting.join(', ')} issued: while it is away, that works on past its time.`);
};

export const printTrust: Run<ServerOptions> = async ({ args: [name = ''], options, out }) => {
  const { items } = await operatorOf(options).call('GET /providers');
  const provider = items.find((each) => each.name === name);
  const problem = !provider
    ? `There is no credential provider "${name}". \`gatehouse providers\` lists them.`
    : (provider.problem ?? `Nothing has to trust a key of ${name}: it is of the type ${provider.type}.`);
  if (provider?.trust === undefined) throw new Error(problem);
  if (out.json) out.printJson({ name, trust: provider.trust });
  else out.print(provider.trust.trimEnd());
};

export const testProvider: Run<ServerOptions> = async ({ args: [name = ''], options, out }) => {
  const test = await operatorOf(options).call('POST /providers/:name/test', { params: { name } });
  if (out.json) out.printJson(test);
  else if (test.ok && test.issueMs === null)
    out.print(`${name}: its client is known there; a token is issued for a person’s task only`);
  else if (test.ok) {
    const end =
      test.revokeMs === null
        ? 'given to nobody; it can’t be taken back there'
        : `verified gone after ${test.revokeMs} ms`;
    out.print(`${name}: issued in ${test.issueMs} ms, ${end}`);
  } else out.note(`${name}: failed: ${test.problem}`);
  return test.ok ? exitCodes.ok : exitCodes.failed;
};
