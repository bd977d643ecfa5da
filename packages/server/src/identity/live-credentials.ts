import type { ActionRecord, AgentIdentityView, KeyEvent, LiveCredential } from '@gatehouse/protocol';
import { sql } from 'kysely';
import type { Clock } from '../platform/index.ts';
import type { Agent } from '../registry/index.ts';
import type { Storage } from '../storage/index.ts';
import { whyStopped } from './tokens/authenticate.ts';

interface Dependencies {
  storage: Storage;
  clock: Clock;
}

/** No credential that is issued here lives longer, so that older records need not be read. */
const LONGEST_LIFE_MS = 3_600_000;
const MOST_CREDENTIALS = 200;
const MOST_KEY_EVENTS = 50;
const issuing = ['token.issue', 'svid.issue'];
const keyOperations = ['agent.enrol', 'agent.add-key', 'agent.remove-key'];

/**
 * Credentials that an agent could act with at this moment, from the records of their issue: law 1 has one for each. Of those that have
 * not run out, a credential counts no more once the agent's epoch has moved on, its task is over, or it was revoked by itself.
 */
export async function liveCredentials(
  { storage, clock }: Dependencies,
  agent: Agent,
): Promise<Pick<AgentIdentityView, 'credentials' | 'more'>> {
  if (whyStopped(agent)) return { credentials: [], more: false };
  const now = clock.now();
  const rows = await storage.db
    .selectFrom('records')
    .leftJoin('tasks', 'tasks.id', 'records.task')
    .select(['records.entry', 'records.at', 'tasks.state', 'tasks.expires_at'])
    .where('records.agent', '=', agent.name)
    .where('records.kind', '=', sql.lit('change'))
    .where('records.at', '>', now - LONGEST_LIFE_MS)
    .where('records.operation', 'in', issuing)
    .where((where) => where.or([where('records.task', 'is', null), where('tasks.state', '=', 'active')]))
    .orderBy('records.at', 'desc')
    .limit(MOST_CREDENTIALS + 1)
    .execute();
  const issued = rows
    .slice(0, MOST_CREDENTIALS)
    .flatMap(({ entry, at }) => readIssued(JSON.parse(entry) as ActionRecord, Number(at)))
    .filter(({ epoch, credential }) => epoch === agent.epoch && credential.expiresAt > now)
    .map(({ credential }) => credential);
  const revoked = new Set(
    issued.length === 0
      ? []
      : (
          await storage.db
            .selectFrom('revoked_tokens')
            .select('token_id')
            .where(
              'token_id',
              'in',
              issued.map(({ id }) => id),
            )
            .execute()
        ).map(({ token_id }) => token_id),
  );
  return { credentials: issued.filter(({ id }) => !revoked.has(id)), more: rows.length > MOST_CREDENTIALS };
}

/** How an agent's keys came and went, newest first. */
export async function keyEvents({ storage }: Dependencies, agent: string): Promise<KeyEvent[]> {
  const rows = await storage.db
    .selectFrom('records')
    .select(['entry', 'at'])
    .where('agent', '=', agent)
    .where('kind', '=', sql.lit('change'))
    .where('operation', 'in', keyOperations)
    .orderBy('at', 'desc')
    .limit(MOST_KEY_EVENTS)
    .execute();
  return rows.map(({ entry, at }) => {
    const { action_id, operation, actor_chain, changes } = JSON.parse(entry) as ActionRecord;
    return { actionId: action_id, at: Number(at), operation, by: actor_chain[0]?.sub ?? 'operator', changes };
  });
}

/** As `issueAccessToken` and the trust domain's issuer write them. */
const tokenIssued =
  /^token (?<id>\S+) for (?<audience>\S+) until (?<until>\S+), bound to (?<bound>.+?), via (?<via>.+?)(?:, to the client (?<client>.+?))?, epoch (?<epoch>\d+)$/;
const svidIssued =
  /^(?<kind>X\.509|JWT)-SVID (?<id>\S+)(?: for (?<audience>.+?))? until (?<until>\S+), via (?<via>.+?), epoch (?<epoch>\d+)$/;

function readIssued(record: ActionRecord, issuedAt: number): { epoch: number; credential: LiveCredential }[] {
  const [line = ''] = record.changes;
  const found = (tokenIssued.exec(line) ?? svidIssued.exec(line))?.groups as Record<string, string | undefined>;
  if (!found) return [];
  const { id = '', audience, until = '', bound, via = '', client, epoch, kind } = found;
  return [
    {
      epoch: Number(epoch),
      credential: {
        kind: kind === undefined ? 'access-token' : kind === 'JWT' ? 'jwt-svid' : 'x509-svid',
        id,
        task: record.task,
        audience: audience?.split(' and ') ?? [],
        boundTo: kind === 'X.509' ? 'its own key' : bound === undefined || bound === 'no key' ? null : bound,
        via,
        client: client ?? null,
        issuedAt,
        expiresAt: Date.parse(until),
        actionId: record.action_id,
      },
    },
  ];
}
