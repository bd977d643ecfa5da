import type { TicketSystemManifest } from '@gatehouse/protocol';
import { type Clock, isJsonObject, type Json, type Log, type Outbound, type Secret } from '../platform/index.ts';
import type { Followed } from '../policy/index.ts';
import type { Snapshot } from '../registry/index.ts';

export interface Tickets {
  /**
   * The state of a ticket or change request where it is followed up, for this agent. From memory while the answer is young enough, else
   * asked for. Null where nobody knows it: no system is declared for it, it is for other agents, or it can't be asked about.
   */
  look(
    snapshot: Pick<Snapshot, 'ticketSystems'>,
    id: string,
    agent: string,
  ): Followed | null | Promise<Followed | null>;
}

interface TicketsDependencies {
  outbound: Pick<Outbound, 'fetchJson'>;
  openSecret(name: string, destination: string): Promise<Secret>;
  clock: Clock;
  log: Log;
}

interface Known {
  system: TicketSystemManifest;
  at: number;
  answer: Promise<Answer | null> | Answer | null;
}

/** What a system says of one ticket. `agents`: null where the system is not asked for whom it is. */
interface Answer {
  state: string;
  agents: readonly string[] | null;
}

/** Tickets that are remembered; the oldest goes. */
const MAX_KNOWN = 10_000;
const MAX_STATE_CHARS = 200;
/** What goes into a path as it is: nothing that could be another path. */
const askable = /^[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?=[A-Za-z0-9_-])){0,99}$/;

export function createTickets({ outbound, openSecret, clock, log }: TicketsDependencies): Tickets {
  const known = new Map<string, Known>();

  async function ask(system: TicketSystemManifest, id: string): Promise<Answer | null> {
    try {
      const url = system.url.replace('{id}', encodeURIComponent(id));
      const secret = system.secret === undefined ? undefined : await openSecret(system.secret, url);
      const { json } = await outbound.fetchJson(url, {
        allowPrivateAddress: system.allowPrivateAddress,
        ...(system.ca !== undefined && { ca: system.ca }),
        ...(secret && { headers: { authorization: authorizationOf(system, secret.reveal()) } }),
      });
      if (system.id !== undefined && memberAt(json, system.id) !== id) {
        log.warn('the answer is about another ticket, and counts as none', { system: system.name, ticket: id });
        return null;
      }
      const state = memberAt(json, system.state);
      if (typeof state !== 'string' || state.length > MAX_STATE_CHARS) {
        log.warn('a ticket has no state where it should be', { system: system.name, ticket: id, member: system.state });
        return null;
      }
      return { state, agents: system.agents === undefined ? null : texts(memberAt(json, system.agents)) };
    } catch (error) {
      log.warn('a ticket can not be asked about, and counts as none', { system: system.name, ticket: id, error });
      return null;
    }
  }

  function answerOf(system: TicketSystemManifest, id: string): Known['answer'] {
    const key = `${system.name} ${id}`;
    const before = known.get(key);
    if (before?.system === system && clock.now() - before.at < system.refreshSeconds * 1_000) return before.answer;
    const asked: Known = { system, at: clock.now(), answer: ask(system, id) };
    known.delete(key);
    if (known.size >= MAX_KNOWN) known.delete(known.keys().next().value as string);
    known.set(key, asked);
    return Promise.resolve(asked.answer).then((answer) => {
      asked.answer = answer;
      return answer;
    });
  }

  return {
    look({ ticketSystems }, id, agent) {
      const system = systemOf(ticketSystems, id);
      if (!system || !askable.test(id)) return null;
      const answer = answerOf(system, id);
      const seenBy = (found: Answer | null) =>
        found && (found.agents === null || found.agents.some((name) => isAgent(name, agent)))
          ? { id, state: found.state }
          : null;
      return answer instanceof Promise ? answer.then(seenBy) : seenBy(answer);
    },
  };
}

function systemOf(systems: Snapshot['ticketSystems'], id: string): TicketSystemManifest | undefined {
  for (const system of systems.values()) if (system.prefixes.some((prefix) => id.startsWith(prefix))) return system;
  return undefined;
}

const isAgent = (name: string, agent: string) => name === agent || name.endsWith(`/agent/${agent}`);

const authorizationOf = ({ user }: TicketSystemManifest, secret: string) =>
  user === undefined ? `Bearer ${secret}` : `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`;

function memberAt(json: Json, path: string): Json | undefined {
  let at: Json | undefined = json;
  for (const member of path.split('.')) {
    // What was searched for: of several nobody knows which is meant.
    if (Array.isArray(at) && at.length === 1) [at] = at;
    if (!isJsonObject(at) || !Object.hasOwn(at, member)) return undefined;
    at = at[member];
  }
  return at;
}

const texts = (value: Json | undefined) => [value ?? []].flat().filter((each) => typeof each === 'string');
