import { relaxedAllow } from './allow.ts';
import { relaxedBudget } from './budget.ts';
import { isSame } from './same.ts';
import { lessMasked, nothing, type OfKind, type Verdict } from './verdict.ts';

type Template = OfKind<'Template'>;

export const template: Verdict<Template> = {
  created: ({ allow }) => relaxedAllow([], allow),
  gone: nothing,
  members: {
    description: 'words',
    allow: (before, after) => relaxedAllow(before.allow, after.allow),
    mask: (before, after) => lessMasked(before.mask, after.mask),
    ttlSeconds: ({ ttlSeconds: before }, { ttlSeconds: after }) =>
      after > before ? [`tasks may last ${after} s instead of ${before} s`] : [],
    // One that is gone can be in no condition; one that is new is in none that was there.
    parameters: (before, after) =>
      Object.entries(after.parameters).flatMap(([name, parameter]) => {
        const old = Object.hasOwn(before.parameters, name) ? before.parameters[name] : undefined;
        const same = old === undefined || isSame({ ...old, description: '' }, { ...parameter, description: '' });
        return same ? [] : [`the parameter "${name}" is changed`];
      }),
  },
};

/** Policies are compared all at once, by their texts: `relaxedPolicies`. */
export const policy: Verdict<OfKind<'Policy'>> = {
  created: nothing,
  gone: nothing,
  members: { cedar: 'elsewhere', mode: 'elsewhere' },
};

export const controlPolicy: Verdict<OfKind<'ControlPolicy'>> = {
  created: nothing,
  gone: nothing,
  members: { cedar: 'elsewhere' },
};

const says = 'decides' as const;

export const calendar: Verdict<OfKind<'Calendar'>> = {
  created: () => ['when a calendar is open is changed'],
  gone: () => ['when a calendar is open is changed'],
  members: { description: 'words', zone: says, open: says, holidays: says },
};

/** Who says what state a ticket is in. */
export const ticketSystem: Verdict<OfKind<'TicketSystem'>> = {
  created: () => ['who says what state a ticket is in is changed'],
  gone: () => ['who says what state a ticket is in is changed'],
  members: {
    description: 'words',
    prefixes: says,
    url: says,
    secret: says,
    state: says,
    agents: says,
    refreshSeconds: ({ refreshSeconds: before }, { refreshSeconds: after }) =>
      after > before ? [`what it said counts for ${after} s instead of ${before} s`] : [],
    allowPrivateAddress: says,
    ca: says,
  },
};

/** It can only raise, and it is sent what it looks at. */
export const detector: Verdict<OfKind<'Detector'>> = {
  created: ({ url }) => [`results are sent to ${new URL(url).host}`],
  gone: () => ['what looked at results is gone'],
  members: {
    description: 'words',
    url: says,
    secret: says,
    allowPrivateAddress: says,
    ca: says,
    environments: says,
    tools: says,
    effects: says,
    domains: says,
    required: (_, { required }) => (required ? [] : ['what it could not look at is no longer held']),
    timeoutMs: says,
    kinds: says,
    maskFrom: says,
    holdFrom: says,
  },
};

type Budget = OfKind<'Budget'>;
const whole = (before: Budget, after: Budget) => relaxedBudget(before, after);

/** Its members only say something together: each is looked at with all of them, and said once. */
export const budget: Verdict<Budget> = {
  created: nothing,
  gone: (before) => relaxedBudget(before, undefined),
  members: {
    description: 'words',
    tools: whole,
    effects: whole,
    domains: whole,
    templates: whole,
    agents: whole,
    environments: whole,
    per: whole,
    window: whole,
    zone: whole,
    limit: whole,
    over: whole,
    giveBackOnFailure: whole,
  },
};
