import type { Erasure, KeepingScope, LegalHold } from '@gatehouse/protocol';
import { CliFailure } from '../failure.ts';
import type { Output } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

type ScopeOptions = ServerOptions & KeepingScope & { reason: string };

function scopeOf({ agent, task, action, person, ticket, from, to }: KeepingScope): KeepingScope {
  const given = Object.entries({ agent, task, action, person, ticket, from, to }).filter(
    ([, value]) => value !== undefined,
  );
  if (given.length === 0)
    throw new CliFailure(
      'usage',
      'keeping.scope',
      'Say what it is about: --agent, --task, --action, --person, --ticket, --from or --to.',
    );
  return Object.fromEntries(given);
}

const words = (scope: KeepingScope) =>
  Object.entries(scope)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');

export const holds: Run<ServerOptions> = async ({ options, out }) => {
  const { items } = await operatorOf(options).call('GET /holds');
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('There is no hold.');
  out.table(
    ['HOLD', 'STATE', 'ON', 'PLACED BY', 'REASON'],
    items.map((hold) => [hold.id, stateOf(hold), words(hold.scope), hold.placedBy, hold.reason]),
  );
};

const stateOf = ({ endedBy, endAskedBy }: LegalHold) =>
  endedBy ? `ended by ${endedBy}` : endAskedBy ? `end asked for by ${endAskedBy}` : 'holds';

export const hold: Run<ScopeOptions> = async ({ options, out }) => {
  const placed = await operatorOf(options).call('POST /holds', {
    body: { scope: scopeOf(options), reason: options.reason },
  });
  if (out.json) return out.printJson(placed);
  out.print(`${placed.id} holds ${words(placed.scope)}: no body of it is removed.`);
};

export const endHold: Run<ServerOptions> = async ({ args: [id = ''], options, out }) => {
  const asked = await operatorOf(options).call('POST /holds/:id/end', { params: { id } });
  if (out.json) return out.printJson(asked);
  out.print(`Asked for. Somebody else has to agree, in the console under Log.`);
};

export const erasures: Run<ServerOptions> = async ({ options, out }) => {
  const { items } = await operatorOf(options).call('GET /erasures');
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('Nothing was to be erased.');
  out.table(
    ['ERASURE', 'STATE', 'OF', 'ASKED BY', 'AGREED BY', 'ERASED', 'HELD', 'REASON'],
    items.map((each) => [
      each.id,
      each.state,
      words(each.scope),
      each.askedBy,
      each.agreedBy ?? '-',
      String(each.erased),
      String(each.held),
      each.reason,
    ]),
  );
};

export const erase: Run<ScopeOptions> = async ({ options, out }) => {
  const asked = await operatorOf(options).call('POST /erasures', {
    body: { scope: scopeOf(options), reason: options.reason },
  });
  if (out.json) return out.printJson(asked);
  print(asked, out);
};

function print({ id, scope }: Erasure, out: Output): void {
  out.print(`${id} is to erase the bodies of ${words(scope)}. Somebody else has to agree, in the console under Log.`);
}
