/** Edges with room left on them, both ways. */
type Network = Map<string, Map<string, number>>;

/** What somebody could be counted as: for whom they speak, and as what of each step's `from`. */
export interface Ballot {
  person: string;
  seats: readonly { of: string; entries: readonly { step: number; source: string }[] }[];
}

export interface Seated {
  person: string;
  /** Whose place it takes: their own, or that of somebody whose deputy they are. */
  of: string;
  step: number;
  source: string;
}

/**
 * Places as many as the steps have room for, one place each and each place once. Whoever is placed stays placed, though maybe elsewhere: the
 * order decides only where there is no room for all. (Augmenting paths of a maximum flow.)
 */
export function seat(
  steps: readonly { approve: number; distinct: boolean }[],
  ballots: readonly Ballot[],
): { counted: Set<string>; seated: Seated[] } {
  const network: Network = new Map();
  const open = (from: string, to: string, room: number) => {
    const edges = network.get(from) ?? new Map<string, number>();
    network.set(from, edges.set(to, room));
    const back = network.get(to) ?? new Map<string, number>();
    if (!back.has(from)) back.set(from, 0);
    network.set(to, back);
  };
  steps.forEach(({ approve }, at) => {
    open(`step ${at}`, 'end', approve);
  });
  const counted = new Set<string>();
  for (const { person, seats } of ballots) {
    if (counted.has(person)) continue;
    for (const { of, entries } of seats) {
      open(`person ${person}`, `seat ${of}`, 1);
      if (!network.get(`seat ${of}`)?.has(`taken ${of}`)) open(`seat ${of}`, `taken ${of}`, 1);
      for (const { step, source } of entries) {
        const entry = `entry ${step} ${source}`;
        const room = steps[step]?.distinct ? 1 : (steps[step]?.approve ?? 0);
        if (!network.get(`taken ${of}`)?.has(entry)) open(`taken ${of}`, entry, 1);
        if (!network.get(entry)?.has(`step ${step}`)) open(entry, `step ${step}`, room);
      }
    }
    open('begin', `person ${person}`, 1);
    if (augment(network)) counted.add(person);
    else network.get('begin')?.delete(`person ${person}`);
  }
  return { counted, seated: [...counted].flatMap((person) => placeOf(network, person, steps.length)) };
}

function augment(network: Network): boolean {
  const cameFrom = new Map<string, string>();
  const queue = ['begin'];
  for (const at of queue)
    for (const [to, room] of network.get(at) ?? []) {
      if (room === 0 || cameFrom.has(to) || to === 'begin') continue;
      cameFrom.set(to, at);
      queue.push(to);
    }
  if (!cameFrom.has('end')) return false;
  for (let to = 'end'; to !== 'begin'; ) {
    const from = cameFrom.get(to) as string;
    add(network, from, to, -1);
    add(network, to, from, 1);
    to = from;
  }
  return true;
}

function add(network: Network, from: string, to: string, by: number): void {
  const edges = network.get(from);
  edges?.set(to, (edges.get(to) ?? 0) + by);
}

/** Follows what is used: an edge whose way back has room. */
function placeOf(network: Network, person: string, steps: number): Seated[] {
  const used = (from: string, prefix: string) =>
    [...(network.get(from)?.keys() ?? [])].find((to) => to.startsWith(prefix) && (network.get(to)?.get(from) ?? 0) > 0);
  const taken = used(`person ${person}`, 'seat ')?.slice('seat '.length);
  const entry = taken === undefined ? undefined : used(`taken ${taken}`, 'entry ');
  if (taken === undefined || entry === undefined) return [];
  const [, step = '', ...source] = entry.split(' ');
  return Number(step) < steps ? [{ person, of: taken, step: Number(step), source: source.join(' ') }] : [];
}
