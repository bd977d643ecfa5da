import type { Asking } from '@gatehouse/protocol';
import { leaseLimits } from '../../../credentials/index.ts';
import { limits } from '../../../platform/index.ts';
import { isSame } from './same.ts';
import { lessRisk, moreOf, nothing, type OfKind, type Verdict } from './verdict.ts';

type Delegates = OfKind<'Blueprint'>['delegatesTo'];

const handsOn = (before: Delegates, after: Delegates, whose: string): string[] =>
  ['agents' as const, 'blueprints' as const].some((each) => moreOf(before?.[each], after?.[each], String).length > 0)
    ? [`${whose} may hand tasks on to more agents`]
    : [];

interface Asks {
  perHour: number;
  perUserHour: number;
  deniedFor: number;
}

/** More questions wear down whoever answers them. */
export const asksMore = (before: Asking | undefined, after: Asking | undefined): string[] => {
  const [was, is] = [before, after].map((each) => ({
    perHour: each?.perHour ?? limits.questionsPerAgentAndHour,
    perUserHour: each?.perUserHour ?? Math.ceil((each?.perHour ?? limits.questionsPerAgentAndHour) / 2),
    deniedFor: each?.deniedForSeconds ?? limits.deniedForSeconds,
  })) as [Asks, Asks];
  return [
    ...(is.perHour > was.perHour ? [`people may be asked ${is.perHour} times an hour instead of ${was.perHour}`] : []),
    ...(is.perUserHour > was.perUserHour
      ? [`people may be asked ${is.perUserHour} times an hour for one user instead of ${was.perUserHour}`]
      : []),
    ...(is.deniedFor < was.deniedFor
      ? [`what was denied may be asked again after ${is.deniedFor} s instead of ${was.deniedFor} s`]
      : []),
  ];
};

export const blueprint: Verdict<OfKind<'Blueprint'>> = {
  created: ({ templates, delegatesTo }) => [
    ...moreOf([], templates, (added) => `its agents may start tasks under ${added}`),
    ...handsOn(undefined, delegatesTo, 'its agents'),
  ],
  gone: nothing,
  members: {
    description: 'words',
    templates: (before, after) =>
      moreOf(before.templates, after.templates, (added) => `its agents may start tasks under ${added}`),
    delegatesTo: (before, after) => handsOn(before.delegatesTo, after.delegatesTo, 'its agents'),
    asking: (before, after) => asksMore(before.asking, after.asking),
  },
};

/** One more of a blueprint that is there may do what was agreed on with the blueprint, and nothing else may do more by it. */
export const agent: Verdict<OfKind<'Agent'>> = {
  created: ({ delegatesTo, clients }) => [
    ...handsOn(undefined, delegatesTo, 'it'),
    ...moreOf([], clients, (added) => `it is driven by ${added}`),
  ],
  gone: nothing,
  members: {
    description: 'words',
    purpose: 'words',
    // Its owner approves what it wants to do.
    owner: (_, after) => [`its owner, who approves what it does, becomes ${after.owner}`],
    environment: (_, after) => [`its environment becomes ${after.environment}`],
    blueprint: (_, after) => [`its blueprint becomes ${after.blueprint}`],
    // Enrolment and the stages of its life are acts of their own; an apply only adds keys and moves it forward.
    keys: 'elsewhere',
    state: 'elsewhere',
    risk: lessRisk,
    bearerOnly: (_, { bearerOnly }) => (bearerOnly ? ['its tokens are bound to no key any more'] : []),
    credentialSeconds: (before, after) =>
      (after.credentialSeconds ?? leaseLimits.maxSeconds) > (before.credentialSeconds ?? leaseLimits.maxSeconds)
        ? ['its credentials live longer']
        : [],
    certificateBound: (_, { certificateBound }) =>
      certificateBound ? [] : ['its tokens need no client certificate any more'],
    delegatesTo: (before, after) => handsOn(before.delegatesTo, after.delegatesTo, 'it'),
    clients: (before, after) => moreOf(before.clients, after.clients, (added) => `it is driven by ${added}`),
  },
};

export const agentMapping: Verdict<OfKind<'AgentMapping'>> = {
  created: ({ agentType }) => [`a directory makes agents of the type "${agentType}"`],
  gone: nothing,
  members: { description: 'words', agentType: 'decides', environment: 'decides', blueprint: 'decides', risk: lessRisk },
};

/** It has no rights of its own, and drives those agents alone that name it. */
export const client: Verdict<OfKind<'Client'>> = {
  created: nothing,
  gone: nothing,
  members: {
    description: 'words',
    displayName: 'words',
    redirectUris: (before, after) =>
      moreOf(before.redirectUris, after.redirectUris, (added) => `its codes go to ${added}`),
    keys: 'decides',
  },
};

/** A gateway is believed what it asks about, and a workload the intent of the tasks that it starts. */
export const workload: Verdict<OfKind<'Workload'>> = {
  created: ({ starts, gateway }) => [
    ...moreOf([], starts, (added) => `it may vouch for the tasks of ${added}`),
    ...(gateway ? ['what it asks about as a gateway is changed'] : []),
  ],
  gone: nothing,
  members: {
    description: 'words',
    purpose: 'words',
    owner: 'decides',
    environment: 'decides',
    state: 'elsewhere',
    starts: (before, after) => moreOf(before.starts, after.starts, (added) => `it may vouch for the tasks of ${added}`),
    gateway: (_, { gateway }) => (gateway ? ['what it asks about as a gateway is changed'] : []),
  },
};

/** Who vouches for an agent could be it. */
export const trustRule: Verdict<OfKind<'TrustRule'>> = {
  created: ({ agent, workload }) => [`tokens of another issuer stand for ${agent ?? workload ?? 'somebody'}`],
  gone: nothing,
  members: {
    description: 'words',
    issuer: 'decides',
    audience: 'decides',
    claims: (before, after) =>
      Object.entries(before.claims).every(
        ([name, condition]) => Object.hasOwn(after.claims, name) && isSame(after.claims[name], condition),
      )
        ? []
        : ['what its tokens must say is changed'],
    agent: 'decides',
    workload: 'decides',
    maxAgeSeconds: ({ maxAgeSeconds: before }, { maxAgeSeconds: after }) =>
      before !== undefined && after !== undefined && after <= before ? [] : ['how old its tokens may be is changed'],
    reuse: (_, { reuse }) => (reuse === 'once' ? [] : ['its tokens are taken more than once']),
    state: (_, { state }) => (state === 'active' ? ['it counts again'] : []),
  },
};

/** A rule that names it is believed what it says. By itself it lets nobody in. */
export const trustDomain: Verdict<OfKind<'TrustDomain'>> = {
  created: nothing,
  gone: nothing,
  members: { description: 'words', bundleUrl: 'decides', ca: 'decides', allowPrivateAddress: 'decides' },
};

/** What agents do there no gate sees. */
export const resourceServer: Verdict<OfKind<'ResourceServer'>> = {
  created: ({ clients }) => [`${Object.keys(clients).join(', ')} may act for people there, which no gate sees`],
  gone: nothing,
  members: {
    description: 'words',
    issuer: 'decides',
    resources: (before, after) => moreOf(before.resources, after.resources, (added) => `agents may ask for ${added}`),
    scopes: (before, after) => moreOf(before.scopes, after.scopes, (added) => `agents may ask for ${added}`),
    clients: (before, after) =>
      Object.entries(after.clients).every(
        ([name, id]) => Object.hasOwn(before.clients, name) && before.clients[name] === id,
      )
        ? []
        : ['who acts there is changed'],
    templates: (before, after) => moreOf(before.templates, after.templates, (added) => `tasks under ${added} may`),
    groups: (before, after) => moreOf(before.groups, after.groups, (added) => `for people of ${added}`),
  },
};
