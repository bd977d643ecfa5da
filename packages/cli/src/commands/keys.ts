import { setTimeout as delay } from 'node:timers/promises';
import type { RewrapView } from '@gatehouse/protocol';
import { exitCodes } from '../exit-codes.ts';
import { clean, timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

export const list: Run<ServerOptions> = async ({ options, out }) => {
  const view = await operatorOf(options).call('GET /keys');
  if (out.json) return out.printJson(view);
  out.table(
    ['PURPOSE', 'KEY', 'ALGORITHM', 'STATE', 'MADE', 'SIGNS FROM', 'NEXT ROTATION'],
    view.purposes.flatMap(({ purpose, algorithm, keys, nextRotation }) =>
      keys.map((key) => [
        purpose,
        key.kid,
        algorithm,
        key.state,
        timeOf(key.createdAt),
        timeOf(key.signsFrom),
        nextRotation === null ? 'never' : timeOf(nextRotation),
      ]),
    ),
  );
  out.print('');
  out.table(
    ['KEY-ENCRYPTION KEY', 'SOURCE', 'STATE', 'ADDED', 'HELD'],
    view.encryption.map((key) => [key.id, key.source, key.state, timeOf(key.createdAt), key.held ? 'yes' : 'no']),
  );
  if (view.encryption.some(({ state }) => state === 'retiring'))
    out.note('Some values may still be sealed with the retiring key: gatehouse keys rewrap goes on.');
};

export const rotate: Run<ServerOptions & { compromised?: boolean }> = async ({
  args: [purpose = ''],
  options,
  out,
}) => {
  const made = await operatorOf(options).call('POST /keys/:purpose/rotate', {
    params: { purpose },
    body: { compromised: options.compromised === true },
  });
  if (out.json) return out.printJson(made);
  out.print(`${clean(made.kid)} signs from ${timeOf(made.signsFrom)}.`);
  if (options.compromised) out.print('Everything that was signed before is refused.');
  if (made.expired.length > 0)
    out.note(`Not heard from, and denying everything until they are back: ${made.expired.map(clean).join(', ')}`);
};

const LOOK_EVERY_MS = 300;

export const rewrap: Run<ServerOptions & { to?: string }> = async ({ options, out }) => {
  const operator = operatorOf(options);
  const body = options.to === undefined ? {} : { to: options.to };
  let view: RewrapView = await operator.call('POST /keys/rewrap', { body });
  while (view.state === 'running') {
    await delay(LOOK_EVERY_MS);
    view = (await operator.call('GET /keys')).rewrap;
    if (!out.json && view.state === 'running') out.note(`${view.looked} of ${view.of} values looked at …`);
  }
  if (out.json) out.printJson(view);
  else if (view.state === 'done')
    out.print(
      `${view.rewrapped} values sealed anew, all ${view.of} verified to be sealed with ${view.to}. The old key is not needed any more: start the server without it, and keep it for as long as you keep backups of before.`,
    );
  else
    out.print(
      `${out.style('red', 'Not finished')}: ${clean(view.problem ?? 'the server was restarted; run it again')}`,
    );
  return view.state === 'done' ? exitCodes.ok : exitCodes.failed;
};
