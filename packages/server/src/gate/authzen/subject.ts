import { TASK_DETAILS_TYPE } from '@gatehouse/protocol';
import type { Caller, Tokens, Vouching } from '../../identity/index.ts';
import { canonicalJson, GatehouseError } from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { Gateway } from '../elsewhere/gateway.ts';
import type { Subject } from './request.ts';

/**
 * Whose action it is (law 2). An agent is proven by its own token and DPoP proof, as it gave them to the gateway
 * (`properties.token`, `dpop`, `method`, `url`); or it is one that the gateway's manifest lets the gateway name. What a request merely says
 * of a subject proves nothing.
 */
export interface Subjects {
  /** `server`: the tool server whose tool is to be called; the token must be for it. */
  callerOf(gateway: Gateway, subject: Subject, server: string): Promise<Caller>;
  /** For one request, in which a subject may stand more than once and its proof is good once. */
  perRequest(): Pick<Subjects, 'callerOf'>;
}

interface Dependencies {
  tokens: Tokens & Vouching;
  registry: Registry;
}

export function createSubjects({ tokens, registry }: Dependencies): Subjects {
  /** Tasks that were started for subjects of gateways, by gateway and subject. */
  const started = new Map<string, Promise<string>>();

  async function byToken(gateway: Gateway, subject: Subject, token: string, server: string): Promise<Caller> {
    const { dpop, url, method = 'POST' } = subject.properties ?? {};
    if (typeof url !== 'string' || !gateway.setting.urls.includes(URL.parse(url)?.origin ?? ''))
      throw new GatehouseError(
        'forbidden',
        'subject.url',
        `"subject.properties.url" must be the address that the agent called, below one of the \`gateway.urls\` of "${gateway.name}": its proof is made for that address.`,
      );
    const caller = await tokens.authenticate({
      authorization: `DPoP ${token}`,
      dpop: typeof dpop === 'string' ? dpop : undefined,
      method: String(method).slice(0, 20),
      url: url.slice(0, 4_096),
      resource: server === '' ? '/mcp' : `/mcp/${server}`,
    });
    const agent = registry.snapshot().agents.get(caller.agent);
    const { user } = caller.task;
    const names = [caller.agent, agent?.spiffeId, ...(user === null ? [] : [user, `person:${user}`])];
    if (!names.includes(subject.id))
      throw new GatehouseError(
        'forbidden',
        'subject.mismatch',
        `The token is that of "${caller.agent}", and the subject is "${subject.id.slice(0, 100)}".`,
      );
    return caller;
  }

  async function byGateway(gateway: Gateway, subject: Subject): Promise<Caller> {
    const named = gateway.setting.subjects.find(({ type, id }) => type === subject.type && id === subject.id);
    if (!named)
      throw new GatehouseError(
        'forbidden',
        'subject.unproven',
        `Nothing proves the subject "${subject.id.slice(0, 100)}": pass on the agent's token and proof (subject.properties.token, dpop, method, url), or have an operator name it under \`gateway.subjects\` of "${gateway.name}".`,
      );
    const given = subject.properties?.task;
    if (named.template === undefined && typeof given !== 'string')
      throw new GatehouseError(
        'forbidden',
        'subject.task',
        `Say in which task "${named.agent}" acts: subject.properties.task.`,
      );
    return tokens.vouchedFor(
      named.agent,
      named.template === undefined ? String(given) : await taskFor(gateway, named.agent, named.template, subject),
    );
  }

  async function taskFor(gateway: Gateway, agent: string, template: string, { type, id }: Subject): Promise<string> {
    const key = canonicalJson([gateway.name, type, id, agent, template]);
    const known = await started.get(key)?.catch(() => undefined);
    if (known !== undefined && (await registry.task(known))?.state === 'active') return known;
    const starting = registry
      .startTask(
        agent,
        {
          type: TASK_DETAILS_TYPE,
          template,
          parameters: {},
          intent: `Asked for by the gateway ${gateway.name} for its ${type} ${id}`.slice(0, 2_000),
        },
        { vouchedBy: gateway.spiffeId },
      )
      .then((task) => task.id);
    started.set(key, starting);
    starting.catch(() => started.delete(key));
    return starting;
  }

  const callerOf: Subjects['callerOf'] = (gateway, subject, server) => {
    const token = subject.properties?.token;
    return typeof token === 'string' ? byToken(gateway, subject, token, server) : byGateway(gateway, subject);
  };

  return {
    callerOf,
    perRequest() {
      const known = new Map<string, Promise<Caller>>();
      return {
        callerOf(gateway, subject, server) {
          const key = canonicalJson([subject, server]);
          const caller = known.get(key) ?? callerOf(gateway, subject, server);
          known.set(key, caller);
          return caller;
        },
      };
    },
  };
}
