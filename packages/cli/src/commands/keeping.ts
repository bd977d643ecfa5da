import type { Erasure, ErasurePreview, KeepingScope, LegalHold } from '@gatehouse/protocol';
import { addReach, reachLines } from '@gatehouse/protocol/erasure-reach';
import { CliFailure } from '../failure.ts';
import type { Output } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

type ScopeOptions = ServerOptions & KeepingScope & { reason: string };
type EraseOptions = ServerOptions & KeepingScope & { reason?: string; dryRun?: boolean };

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
  out.print(`Asked for. Somebody else has to agree: gatehouse log agree ${id}`);
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

export const erase: Run<EraseOptions> = async ({ options, out }) => {
  const scope = scopeOf(options);
  if (options.dryRun) return preview(scope, options, out);
  if (options.reason === undefined)
    throw new CliFailure(
      'usage',
      'keeping.reason',
      'Say why, for the record: --reason. With --dry-run nothing is asked.',
    );
  const asked = await operatorOf(options).call('POST /erasures', { body: { scope, reason: options.reason } });
  if (out.json) return out.printJson(asked);
  print(asked, out);
};

function print({ id, scope }: Erasure, out: Output): void {
  out.print(`${id} is to erase the bodies of ${words(scope)}. Somebody else has to agree: gatehouse log agree ${id}`);
}

/** Looks add up: each goes on for a moment, and says where the next one does. */
async function preview(scope: KeepingScope, options: EraseOptions, out: Output): Promise<void> {
  const server = operatorOf(options);
  const look = (cursor?: string) =>
    server.call('GET /erasure-preview', { query: { ...scope, ...(cursor !== undefined && { cursor }) } });
  let { cursor, ...total }: ErasurePreview = await look();
  while (cursor !== null) {
    const { cursor: next, ...found } = await look(cursor);
    [total, cursor] = [addReach(total, found), next];
  }
  if (out.json) return out.printJson(total);
  out.print(
    `An erasure of ${words(scope)} would be about ${total.actions} actions; a hold keeps ${total.held} of them.`,
  );
  const lines = reachLines(total);
  if (lines.length > 0)
    out.table(
      ['TAKES', 'OF'],
      lines.map(([count, what]) => [String(count), what]),
    );
  for (const { sink, records } of total.exported)
    out.print(`${sink} has ${records} of these records already: what it keeps is not reached.`);
  out.note('Nothing was asked for or changed. Without --dry-run it is asked for, and somebody else has to agree.');
}
