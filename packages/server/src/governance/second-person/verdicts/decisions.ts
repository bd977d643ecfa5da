import { asksMore } from './agents.ts';
import { relaxedAllow } from './allow.ts';
import { relaxedBudget } from './budget.ts';
import { isSame, membersThatDiffer } from './same.ts';
import { isNamed, lessMasked, nothing, type OfKind, type Verdict } from './verdict.ts';

type Template = OfKind<'Template'>;

const withoutWords = (parameters: Template['parameters']) =>
  Object.fromEntries(Object.entries(parameters).map(([name, parameter]) => [name, { ...parameter, description: '' }]));

const handedOut = (credentials: NonNullable<Template['credentials']>) =>
  credentials.flatMap(({ provider, direct }) =>
    direct ? [`tasks may be handed credentials of the provider "${provider}"`] : [],
  );

export const template: Verdict<Template> = {
  created: ({ allow, credentials = [] }) => [...relaxedAllow([], allow), ...handedOut(credentials)],
  gone: nothing,
  members: {
    description: 'words',
    allow: (before, after) => relaxedAllow(before.allow, after.allow),
    mask: (before, after) => lessMasked(before.mask, after.mask),
    asking: (before, after) => asksMore(before.asking, after.asking),
    credentials: ({ credentials: before = [] }, { credentials: after = [] }) => [
      ...before
        .filter((limit) => !after.some((each) => isSame(each, limit)))
        .map(({ provider }) => `what tasks are given of the provider "${provider}" is changed`),
      ...handedOut(after.filter((entry) => !before.some((each) => isSame(each, entry)))),
    ],
    ttlSeconds: ({ ttlSeconds: before }, { ttlSeconds: after }) =>
      after > before ? [`tasks may last ${after} s instead of ${before} s`] : [],
    // One that is gone or new is in no condition of an entry that stays; a written policy may ask whether the task has it.
    parameters: (before, after, around) =>
      membersThatDiffer(withoutWords(before.parameters), withoutWords(after.parameters)).flatMap((name) => {
        const isChanged = Object.hasOwn(before.parameters, name) && Object.hasOwn(after.parameters, name);
        return isChanged || isNamed(around, /parameters/i) ? [`the parameter "${name}" is changed`] : [];
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

export const calendar: Verdict<OfKind<'Calendar'>> = {
  created: () => ['when a calendar is open is changed'],
  gone: () => ['when a calendar is open is changed'],
  members: { description: 'words', zone: 'decides', open: 'decides', holidays: 'decides' },
};

/** Who says what state a ticket is in. */
export const ticketSystem: Verdict<OfKind<'TicketSystem'>> = {
  created: () => ['who says what state a ticket is in is changed'],
  gone: () => ['who says what state a ticket is in is changed'],
  members: {
    description: 'words',
    prefixes: 'decides',
    url: 'decides',
    secret: 'decides',
    user: 'decides',
    state: 'decides',
    id: 'decides',
    agents: 'decides',
    refreshSeconds: ({ refreshSeconds: before }, { refreshSeconds: after }) =>
      after > before ? [`what it said counts for ${after} s instead of ${before} s`] : [],
    allowPrivateAddress: 'decides',
    ca: 'decides',
  },
};

/** It can only raise, and it is sent what it looks at. */
export const detector: Verdict<OfKind<'Detector'>> = {
  created: ({ url }) => [`results are sent to ${new URL(url).host}`],
  gone: () => ['what looked at results is gone'],
  members: {
    description: 'words',
    url: 'decides',
    secret: 'decides',
    allowPrivateAddress: 'decides',
    ca: 'decides',
    environments: 'decides',
    tools: 'decides',
    effects: 'decides',
    domains: 'decides',
    required: (_, { required }) => (required ? [] : ['what it could not look at is no longer held']),
    timeoutMs: 'decides',
    kinds: 'decides',
    maskFrom: 'decides',
    holdFrom: 'decides',
  },
};

/** What it may issue at most, from where, for whom. */
export const credentialProvider: Verdict<OfKind<'CredentialProvider'>> = {
  created: ({ from, direct }) => [
    `credentials are issued${'url' in from && from.url !== undefined ? ` from ${new URL(from.url).host}` : ''}`,
    ...(direct ? [`tasks may be handed its credentials, at tier ${direct.tier}`] : []),
  ],
  gone: nothing,
  members: {
    description: 'words',
    environments: (before, after) =>
      after.environments
        .filter((each) => !before.environments.includes(each))
        .map((each) => `credentials are issued in ${each}`),
    life: ({ life: before }, { life: after }) =>
      after.maxSeconds > before.maxSeconds || after.defaultSeconds > before.defaultSeconds
        ? ['credentials live longer']
        : [],
    from: 'decides',
    direct: ({ direct: before }, { direct: after }) => {
      if (!after) return [];
      if (!before) return [`tasks may be handed its credentials, at tier ${after.tier}`];
      const isWider = (['maxSeconds', 'perTask', 'perHour'] as const).some((limit) => after[limit] > before[limit]);
      return [
        ...(after.tier < before.tier
          ? [`tasks are handed its credentials at tier ${after.tier} instead of ${before.tier}`]
          : []),
        ...(isWider ? ['tasks are handed more of its credentials, or for longer'] : []),
      ];
    },
  },
};

/** It tells people, and hears them. Who is told of less may miss what they would have refused. */
export const channel: Verdict<OfKind<'Channel'>> = {
  created: () => ['what waits is told in one more place'],
  gone: () => ['people are not told there any more'],
  members: {
    description: 'words',
    environments: 'decides',
    agents: 'decides',
    tools: 'decides',
    show: ({ show: before }, { show: after }) => {
      const more = ['nothing', 'tool', 'arguments'];
      return more.indexOf(after) > more.indexOf(before) ? [`its messages say more: ${after}`] : [];
    },
    people: 'decides',
    allowPrivateAddress: 'decides',
    ca: 'decides',
    webhook: 'decides',
    slack: 'decides',
    mail: 'decides',
    teams: 'decides',
    jira: 'decides',
    serviceNow: 'decides',
    ciba: 'decides',
    push: 'decides',
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
