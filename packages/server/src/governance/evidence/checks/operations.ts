import { type Check, count, DAY_MS, day, verdict } from '../check.ts';

const ROTATE_AFTER_DAYS = 90;

export const secrets: Check = {
  id: 'secrets.sealed',
  claim: 'Secrets of tool servers are sealed, each for its own addresses, and none is older than 90 days.',
  async run({ db, now }, ask) {
    const rows = await ask(db.selectFrom('secrets').select(['name', 'origins', 'updated_at']));
    const keys = await ask(
      db.selectFrom('key_encryption_keys').where('state', 'in', ['current', 'held']).select(['id', 'source', 'state']),
    );
    const old = rows.filter(({ updated_at }) => Number(updated_at) < now - ROTATE_AFTER_DAYS * DAY_MS);
    const loose = rows.filter(({ origins }) => (JSON.parse(origins) as string[]).length === 0);
    const current = keys.find(({ state }) => state === 'current');
    return {
      ...verdict(
        { of: rows.length, against: old.length + loose.length + (rows.length > 0 && !current ? 1 : 0) },
        {
          none: `No secret is stored.${current ? ` What will be is sealed by a key from ${current.source.split(':')[0]}.` : ''}`,
          met: `${count(rows.length, 'secret')}, sealed by a key from ${current?.source.split(':')[0]}, none older than ${ROTATE_AFTER_DAYS} days.`,
          not: `Older than ${ROTATE_AFTER_DAYS} days: ${count(old.length, 'secret')}; free to be sent anywhere: ${loose.length}.`,
        },
      ),
      figures: {
        secrets: rows.length,
        old: old.length,
        withoutAddress: loose.length,
        keySource: current?.source.split(':')[0] ?? null,
      },
      examples: [...old, ...loose].map(({ name, updated_at }) => `${name}, set ${day(Number(updated_at))}`),
    };
  },
};

/** Those that rotate by themselves. */
const ROTATING = ['access-token', 'jwt-svid', 'x509-intermediate'];
const OLD_KEY_DAYS = 90;

export const keys: Check = {
  id: 'keys.rotated',
  claim: 'Keys that sign tokens and identities are rotated.',
  async run({ db, now }, ask) {
    const rows = await ask(
      db.selectFrom('signing_keys').select(['kid', 'purpose', 'state', 'created_at']).orderBy('created_at', 'desc'),
    );
    const current = [
      ...Map.groupBy(
        rows.filter(({ purpose }) => ROTATING.includes(purpose)),
        ({ purpose }) => purpose,
      ).values(),
    ].map(([newest]) => newest);
    const old = current.filter((key) => key && Number(key.created_at) < now - OLD_KEY_DAYS * DAY_MS);
    return {
      ...verdict(
        { of: current.length, against: old.length },
        {
          none: 'There is no such key.',
          met: `${count(current.length, 'key')} in use, none older than ${OLD_KEY_DAYS} days.`,
          not: `${count(old.length, 'key')} in use are older than ${OLD_KEY_DAYS} days.`,
        },
      ),
      figures: { keys: current.length, old: old.length },
      examples: old.map((key) => `${key?.purpose} of ${day(Number(key?.created_at))}`),
    };
  },
};

export const backups: Check = {
  id: 'backups.made',
  claim: 'The workspace was backed up in the period.',
  async run({ db, from, to }, ask) {
    const rows = await ask(
      db
        .selectFrom('records')
        .where('operation', '=', 'workspace.backup')
        .where('at', '>=', from)
        .where('at', '<', to)
        .select(['at', 'log', 'sequence'])
        .orderBy('at', 'desc'),
    );
    const newest = rows[0];
    return {
      status: newest ? 'met' : 'not-met',
      finding: newest
        ? `${count(rows.length, 'backup')}; the last of ${day(Number(newest.at))}.`
        : 'No backup was made by `gatehouse backup` in the period. Backups of the database by other means are not known here.',
      figures: { backups: rows.length },
      records: rows.slice(0, 1).map(({ log, sequence }) => ({ log, sequence: Number(sequence) })),
    };
  },
};

export const transport: Check = {
  id: 'transport.encrypted',
  claim: 'Agents and people reach Gatehouse over TLS, and Gatehouse reaches tool servers over TLS or within the host.',
  async run({ publicUrl, snapshot }) {
    const plain = [...snapshot.servers.values()].flatMap(({ name, manifest: { transport: how } }) =>
      how.type === 'http' && new URL(how.url).protocol !== 'https:' ? [`${name} at ${new URL(how.url).origin}`] : [],
    );
    const own = new URL(publicUrl).protocol === 'https:' ? [] : [`Gatehouse itself, at ${publicUrl}`];
    const against = [...own, ...plain];
    return {
      status: against.length === 0 ? 'met' : 'not-met',
      finding:
        against.length === 0
          ? `Gatehouse is at ${publicUrl}; ${count(snapshot.servers.size, 'tool server')}, none without TLS.`
          : `${count(against.length, 'connection')} without TLS.`,
      figures: { withoutTls: against.length, toolServers: snapshot.servers.size },
      examples: against,
    };
  },
};

export const anomalies: Check = {
  id: 'agents.watched',
  claim: 'What is unlike what an agent usually does is noticed; what is refused again and again stops the task.',
  async run({ db, from, to }, ask) {
    const inPeriod = db.selectFrom('records').where('at', '>=', from).where('at', '<', to);
    const unusual = await ask(
      inPeriod
        .where('kind', '=', 'outcome')
        .where('result', '=', 'anomalous')
        .select(['action_id', 'agent', 'log', 'sequence'])
        .limit(1_000),
    );
    const stopped = await ask(
      inPeriod
        .where('operation', 'in', ['task.suspend', 'agent.suspend'])
        .select(['agent', 'operation', 'log', 'sequence'])
        .limit(1_000),
    );
    const known = await ask(db.selectFrom('baselines').select(['agent']).distinct());
    return {
      ...verdict(
        { of: known.length, against: 0 },
        {
          none: 'Nothing is known yet of what agents usually do.',
          met: `What is usual is known of ${count(known.length, 'agent')}; unlike it: ${count(unusual.length, 'call')}; suspended: ${count(stopped.length, 'task or agent', 'tasks or agents')}.`,
          not: '',
        },
      ),
      figures: { agentsKnown: known.length, unusual: unusual.length, suspended: stopped.length },
      examples: unusual.map(({ action_id, agent }) => `${action_id} of ${agent}`),
      records: [...unusual, ...stopped].slice(0, 2).map(({ log, sequence }) => ({ log, sequence: Number(sequence) })),
    };
  },
};
