import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

interface Options extends ServerOptions {
  server?: string;
}

const tiers = { 1: '1 autonomous', 2: '2 reviewed', 3: '3 approval', 4: '4 prohibited' };

export const tools: Run<Options> = async ({ options, out }) => {
  const found = await operatorOf(options).call('GET /tools');
  const items = found.items.filter(({ server }) => options.server === undefined || server === options.server);
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('There are none. `gatehouse apply -f DIR` registers tool servers.');
  out.table(
    ['TOOL', 'TIER', 'EFFECTS', 'STATE'],
    items.map(({ ref, tier, effects, state }) => [ref, tiers[tier], effects.join(' '), state]),
  );
  if (items.some(({ state }) => state === 'held'))
    out.note('Held tools wait for review: gatehouse definitions list --state held');
};
