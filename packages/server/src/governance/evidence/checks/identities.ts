import { type Check, count, DAY_MS, day, verdict } from '../check.ts';

export const owned: Check = {
  id: 'agents.owned',
  claim: 'Every agent that can act has an owner, who is a person and still here.',
  async run({ db, snapshot }, ask) {
    const agents = await ask(
      db.selectFrom('agents').where('state', 'in', ['active', 'suspended']).select(['name', 'owner', 'state']),
    );
    const orphans = agents.filter(({ owner }) => !snapshot.people.has(owner));
    return {
      ...verdict(
        { of: agents.length, against: orphans.length },
        {
          none: 'There is no agent that can act.',
          met: `${count(agents.length, 'agent')}, each with an owner.`,
          not: `${count(orphans.length, 'agent')} of ${agents.length} have an owner who is not here.`,
        },
      ),
      figures: { agents: agents.length, withoutOwner: orphans.length },
      examples: orphans.map(({ name, owner }) => `${name} (${owner})`),
    };
  },
};

export const ownKeys: Check = {
  id: 'agents.own-identity',
  claim: 'No two agents share an identity or a key.',
  async run({ db, snapshot }, ask) {
    const keys = await ask(db.selectFrom('agent_keys').select(['thumbprint', 'agent']));
    const shared = [...Map.groupBy(keys, ({ thumbprint }) => thumbprint).values()].filter(
      (own) => new Set(own.map(({ agent }) => agent)).size > 1,
    );
    // A key that stands in a manifest and not in the table would be bound to nobody.
    const known = new Set(keys.map(({ thumbprint, agent }) => `${agent} ${thumbprint}`));
    const holders = new Set(keys.map(({ agent }) => agent));
    const strangers = [...holders].filter((agent) => !snapshot.agents.has(agent));
    return {
      ...verdict(
        { of: known.size, against: shared.length + strangers.length },
        {
          none: 'No agent has a registered key: they prove themselves by trust rules, or there are none.',
          met: `${count(known.size, 'key')} of ${count(holders.size, 'agent')}, each of one agent only.`,
          not: `${count(shared.length, 'key')} belong to several agents, and ${strangers.length} to agents that do not exist.`,
        },
      ),
      figures: { keys: known.size, agents: holders.size, shared: shared.length, ofNobody: strangers.length },
      examples: strangers,
    };
  },
};

const GRAVE_ROLES = ['approver', 'security', 'admin'] as const;

export const passkeys: Check = {
  id: 'people.passkeys',
  claim:
    'Who may approve, administer or stop agents signs in with a passkey or with the company’s provider, never with a password.',
  async run({ db, snapshot }, ask) {
    const enrolled = new Set(
      (await ask(db.selectFrom('passkeys').select(['person']).distinct())).map(({ person }) => person),
    );
    const linked = new Set(
      (await ask(db.selectFrom('person_identities').select(['person']).distinct())).map(({ person }) => person),
    );
    const grave = [...snapshot.people.values()].filter(({ roles }) => GRAVE_ROLES.some((role) => roles.includes(role)));
    const without = grave.filter(({ email }) => !enrolled.has(email) && !linked.has(email));
    return {
      ...verdict(
        { of: grave.length, against: without.length },
        {
          none: 'Nobody may approve, administer or stop agents.',
          met: `${count(grave.length, 'person', 'people')} with such a role, each with a passkey or an identity at the provider.`,
          not: `${without.length} of ${count(grave.length, 'person', 'people')} with such a role have neither passkey nor provider yet.`,
        },
      ),
      figures: { people: grave.length, without: without.length },
      examples: without.map(({ email }) => email),
    };
  },
};

const LONGEST_SESSION_MS = 90 * DAY_MS;

export const sessionsEnd: Check = {
  id: 'people.sessions-end',
  claim: 'Every session ends by itself.',
  async run({ db, now }, ask) {
    const sessions = await ask(
      db
        .selectFrom('people_sessions')
        .where('expires_at', '>', now)
        .select(['person', 'created_at', 'expires_at', 'via']),
    );
    const endless = sessions.filter(
      ({ created_at, expires_at }) => Number(expires_at) - Number(created_at) > LONGEST_SESSION_MS,
    );
    const longest = Math.max(
      0,
      ...sessions.map(({ created_at, expires_at }) => Number(expires_at) - Number(created_at)),
    );
    return {
      ...verdict(
        { of: sessions.length, against: endless.length },
        {
          none: 'Nobody is signed in.',
          met: `${count(sessions.length, 'session')} open; the longest ends after ${count(Math.round(longest / 3_600_000), 'hour')}.`,
          not: `${count(endless.length, 'session')} do not end within ${LONGEST_SESSION_MS / DAY_MS} days.`,
        },
      ),
      figures: { sessions: sessions.length, longestHours: Math.round(longest / 3_600_000) },
      examples: endless.map(({ person, via }) => `${person} (${via})`),
    };
  },
};

export const separated: Check = {
  id: 'people.duties-separated',
  claim: 'Nobody holds the roles of those who administer, who approve and who watch, all at once.',
  async run({ snapshot }) {
    const people = [...snapshot.people.values()];
    const grave = people.filter(({ roles }) => GRAVE_ROLES.some((role) => roles.includes(role)));
    const all = people.filter(({ roles }) => GRAVE_ROLES.every((role) => roles.includes(role)));
    return {
      ...verdict(
        { of: grave.length, against: all.length },
        {
          none: 'Nobody has such a role.',
          met: `Nobody has all three of these roles, of ${count(grave.length, 'person', 'people')} with one or two.`,
          not: `All three roles are held by ${count(all.length, 'person', 'people')}.`,
        },
      ),
      figures: { people: grave.length, holdingAll: all.length },
      examples: all.map(({ email }) => email),
    };
  },
};

export const departed: Check = {
  id: 'people.departed',
  claim: 'Who has left can sign in no more, and no agent of theirs acts.',
  async run({ db, snapshot, now }, ask) {
    const gone = [...snapshot.directory.values()].filter(({ departed: left }) => left !== null);
    const emails = gone.map(({ email }) => email);
    const sessions = new Set(
      (await ask(db.selectFrom('people_sessions').where('expires_at', '>', now).select(['person']))).map(
        ({ person }) => person,
      ),
    );
    const agents = await ask(db.selectFrom('agents').where('state', '=', 'active').select(['name', 'owner']));
    const left = new Set(emails);
    const against = [
      ...emails.filter((email) => sessions.has(email)).map((email) => `${email} is signed in`),
      ...agents.filter(({ owner }) => left.has(owner)).map(({ name, owner }) => `${name} of ${owner} is active`),
    ];
    return {
      ...verdict(
        { of: gone.length, against: against.length },
        {
          none: 'Nobody has left.',
          met: `${count(gone.length, 'person', 'people')} left; none is signed in or owns an agent that acts.`,
          not: `${count(against.length, 'thing')} still works of who has left.`,
        },
      ),
      figures: { left: gone.length, stillWorking: against.length },
      examples:
        against.length > 0 ? against : gone.map(({ email, departed: when }) => `${email} on ${day(when?.at ?? 0)}`),
    };
  },
};

export const killed: Check = {
  id: 'agents.kill-final',
  claim: 'Nothing of an agent passes once it has been killed.',
  async run({ db, from, to, now }, ask) {
    const kills = await ask(
      db
        .selectFrom('records')
        .where('operation', '=', 'agent.kill')
        .where('at', '>=', from)
        .where('at', '<', to)
        .select(['agent', 'at', 'log', 'sequence'])
        .orderBy('at'),
    );
    const dead = await ask(
      db.selectFrom('agents').where('killed_at', 'is not', null).select(['name', 'killed_at']).orderBy('killed_at'),
    );
    const first = dead[0]?.killed_at ?? now;
    const lastCalls = await ask(
      db
        .selectFrom('records')
        .where('kind', '=', 'dispatch')
        .where('at', '>', first)
        .where('agent', 'is not', null)
        .select(['agent', ({ fn }) => fn.max('at').as('last')])
        .groupBy('agent'),
    );
    const last = new Map(lastCalls.map((call) => [call.agent, Number(call.last)]));
    const after = dead.filter(({ name, killed_at }) => (last.get(name) ?? 0) > Number(killed_at));
    return {
      ...verdict(
        { of: kills.length, against: after.length },
        {
          none: 'No agent was killed in the period. A drill shows that the switch works: `gatehouse kill AGENT`, on one that nobody needs.',
          met: `${count(kills.length, 'agent')} killed; no call of theirs was sent after that.`,
          not: `Calls were sent by ${count(after.length, 'agent')} that had been killed.`,
        },
      ),
      figures: { killed: kills.length, sendingAfter: after.length },
      examples: after.map(({ name }) => `${name}, last at ${new Date(last.get(name) ?? 0).toISOString()}`),
      records: kills.slice(0, 2).map(({ log, sequence }) => ({ log, sequence: Number(sequence) })),
    };
  },
};
