import { isAllowedBy } from '@gatehouse/protocol';
import { type Check, count, DAY_MS, type Sources, verdict } from '../check.ts';

export const secondPerson: Check = {
  id: 'policies.second-person',
  claim: 'What was let through more widely in production was shipped by somebody else than its author.',
  async run({ db, from, to }, ask) {
    const shipped = await ask(
      db
        .selectFrom('policy_proposals')
        .where('state', '=', 'shipped')
        .where('decided_at', '>=', from)
        .where('decided_at', '<', to)
        .select(['number', 'author', 'decided_by', 'assertion']),
    );
    const alone = shipped.filter(
      ({ author, decided_by, assertion }) => decided_by === null || assertion === null || author.endsWith(decided_by),
    );
    const versions = await ask(
      db
        .selectFrom('policy_versions')
        .where('at', '>=', from)
        .where('at', '<', to)
        .select(['number', 'proposal', 'by']),
    );
    const dangling = versions.filter(
      ({ proposal }) => proposal !== null && !shipped.some(({ number }) => number === proposal),
    );
    return {
      ...verdict(
        { of: shipped.length, against: alone.length + dangling.length },
        {
          none: `Nothing had to be shipped by a second person. ${count(versions.length, 'version')} of the policies came into force in the period.`,
          met: `${count(shipped.length, 'change')} shipped, each with the passkey of somebody else than its author.`,
          not: `${count(alone.length, 'change')} shipped by their author, and ${dangling.length} in force whose proposal is gone.`,
        },
      ),
      figures: {
        versions: versions.length,
        shipped: shipped.length,
        alone: alone.length,
        withoutProposal: dangling.length,
      },
      examples: [
        ...alone.map(({ number, author }) => `proposal ${number} of ${author}`),
        ...dangling.map(({ number }) => `version ${number}`),
      ],
    };
  },
};

export const recorded: Check = {
  id: 'policies.recorded',
  claim: 'Every version of the policies is known: who made it, when, and what it changed.',
  async run({ db, from, to }, ask) {
    const versions = await ask(
      db
        .selectFrom('policy_versions')
        .where('at', '>=', from)
        .where('at', '<', to)
        .select(['number', 'by', 'changes'])
        .orderBy('number'),
    );
    const logged = await ask(
      db
        .selectFrom('records')
        .where('kind', '=', 'change')
        .where('operation', '=', 'policy.version')
        .where('at', '>=', from)
        .where('at', '<', to)
        .select(['log', 'sequence']),
    );
    const numbers = versions.map(({ number }) => number);
    const gaps = numbers.filter((number, index) => index > 0 && number !== (numbers[index - 1] ?? 0) + 1);
    const unlogged = Math.max(0, versions.length - logged.length);
    return {
      ...verdict(
        { of: versions.length, against: gaps.length + unlogged },
        {
          none: 'The policies did not change in the period.',
          met: `${count(versions.length, 'version')}, without a gap, each with its author, its changes and its record.`,
          not: `${count(gaps.length, 'version')} missing, and ${unlogged} without a record.`,
        },
      ),
      figures: { versions: versions.length, gaps: gaps.length, withoutRecord: unlogged },
      examples: versions.slice(-5).map(({ number, by }) => `version ${number} by ${by}`),
      records: logged.slice(0, 2).map(({ log, sequence }) => ({ log, sequence: Number(sequence) })),
    };
  },
};

const WAITING_MS = 7 * DAY_MS;

export const definitions: Check = {
  id: 'tools.definitions-reviewed',
  claim:
    'Agents get tools as somebody approved them: what changed at a tool server is held, and looked at within a week.',
  async run({ db, now }, ask) {
    const rows = await ask(
      db
        .selectFrom('definitions')
        .select(['server', 'kind', 'name', 'state', 'seen_at', 'approved_digest', 'served_digest']),
    );
    const approved = rows.filter(({ state }) => state === 'approved');
    const loose = approved.filter(({ approved_digest }) => approved_digest === null);
    const held = rows.filter(({ state }) => state === 'held');
    const old = held.filter(({ seen_at }) => Number(seen_at) < now - WAITING_MS);
    return {
      ...verdict(
        { of: rows.length, against: loose.length + old.length },
        {
          none: 'There is no tool.',
          met: `${count(approved.length, 'definition')} pinned, ${held.length} held for review.`,
          not: `Waiting for more than a week: ${count(old.length, 'changed definition')}; approved without a pin: ${loose.length}.`,
        },
      ),
      figures: { approved: approved.length, held: held.length, heldForLong: old.length, unpinned: loose.length },
      examples: [...loose, ...old].map(({ server, name }) => `${server}/${name}`),
    };
  },
};

/** Which tools each active agent may use by its templates, and which of them it called. */
async function grants({ db, snapshot, from, to }: Sources, ask: Parameters<Check['run']>[1]) {
  const rows = await ask(
    db
      .selectFrom('records')
      .where('kind', '=', 'dispatch')
      .where('at', '>=', from)
      .where('at', '<', to)
      .select(['agent', 'tool'])
      .distinct(),
  );
  const used = Map.groupBy(rows, ({ agent }) => agent ?? '');
  const active = [...snapshot.agents.values()].filter(({ state }) => state === 'active');
  return active.map(({ name, manifest }) => {
    const templates = snapshot.blueprints.get(manifest.blueprint)?.templates ?? [];
    const allowed = templates.flatMap((template) => snapshot.templates.get(template)?.allow ?? []);
    const tools = [...snapshot.servers.values()]
      .filter((server) => server.manifest.environments.includes(manifest.environment))
      .flatMap((server) => [...server.tools.values()])
      .filter(
        ({ tier, ref, effects, labels }) =>
          tier < 4 && allowed.some((each) => isAllowedBy(each, { ref, effects, domain: labels.domain })),
      );
    const called = new Set(used.get(name)?.map(({ tool }) => tool));
    const granted = tools.map(({ ref }) => ref);
    return { name, granted, unused: granted.filter((ref) => !called.has(ref)), isQuiet: called.size === 0 };
  });
}

export const leastPrivilege: Check = {
  id: 'agents.least-privilege',
  claim: 'Agents are granted what they use: no agent at work left more than half of its tools unused.',
  async run(sources, ask) {
    const all = await grants(sources, ask);
    const atWork = all.filter(({ isQuiet }) => !isQuiet);
    const wide = atWork.filter(({ granted, unused }) => unused.length * 2 > granted.length);
    const [granted, unused] = [atWork, atWork].map((each, index) =>
      each.reduce((sum, { granted: own, unused: left }) => sum + (index === 0 ? own : left).length, 0),
    );
    return {
      ...verdict(
        { of: atWork.length, against: wide.length },
        {
          none: 'No agent called a tool in the period.',
          met: `${count(atWork.length, 'agent')} at work used ${(granted ?? 0) - (unused ?? 0)} of the ${granted} tools that they are granted.`,
          not: `${count(wide.length, 'agent')} of ${atWork.length} used fewer than half of the tools that they are granted.`,
        },
      ),
      figures: { agents: all.length, atWork: atWork.length, granted: granted ?? 0, unused: unused ?? 0 },
      examples: wide.map(
        ({ name, unused: left }) => `${name} did not use ${left.slice(0, 5).join(', ')}${left.length > 5 ? ' …' : ''}`,
      ),
    };
  },
};

const GRAVE_EFFECTS = new Set(['pay', 'delete', 'send', 'export', 'administer']);

export const labelled: Check = {
  id: 'tools.labelled',
  claim:
    'Of tools that pay, send, delete, export or administer it is known which argument says to whom, where and how much, so that what content chose waits for a person.',
  async run({ snapshot }) {
    const grave = [...snapshot.servers.values()]
      .flatMap(({ tools }) => [...tools.values()])
      .filter(({ tier, effects }) => tier < 4 && effects.some((effect) => GRAVE_EFFECTS.has(effect)));
    const bare = grave.filter(({ labels }) => Object.keys(labels.roles).length === 0);
    return {
      ...verdict(
        { of: grave.length, against: bare.length },
        {
          none: 'There is no such tool.',
          met: `${count(grave.length, 'tool')}, all with labels.`,
          not: `${bare.length} of ${count(grave.length, 'tool')} have no labels; calls of them can’t be told from what content asked for.`,
        },
      ),
      figures: { tools: grave.length, withoutLabels: bare.length },
      examples: bare.map(({ ref }) => ref),
    };
  },
};

export const budgets: Check = {
  id: 'agents.budgets',
  claim: 'What agents may do in a time is bounded by budgets.',
  async run({ db, snapshot, from, to }, ask) {
    const counters = await ask(
      db
        .selectFrom('budget_counters')
        .where('updated_at', '>=', from)
        .where('updated_at', '<', to)
        .select(['budget', 'label', 'used']),
    );
    const all = [...snapshot.budgets.keys()];
    return {
      status: all.length > 0 ? 'met' : 'not-met',
      finding:
        all.length > 0
          ? `${count(all.length, 'budget')} in force, ${count(counters.length, 'count')} kept of them in the period.`
          : 'There is no budget: a run of small calls has no bound but each call’s own.',
      figures: { budgets: all.length, counts: counters.length },
      examples: all,
    };
  },
};
