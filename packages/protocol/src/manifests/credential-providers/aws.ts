import { z } from 'zod';
import { isGlobWithin } from './globs.ts';
import type { CredentialKind, Narrowed } from './kind.ts';
import { nothingLeft } from './meet-of.ts';

/** Of a session policy, as AWS counts it. */
const POLICY_CHARACTERS = 2_048;

const statement = z.strictObject({
  /** `s3:GetObject`, `s3:Get*`. None of `sts`: whoever may take another role leaves what this one was narrowed to. */
  actions: z
    .array(
      z
        .string()
        .max(200)
        .regex(/^[a-z0-9-]+:[A-Za-z0-9*?]+$/, 'is SERVICE:Action, with * or ? in the action')
        .refine((action) => !action.startsWith('sts:'), 'is one of sts, with which a session could leave its role'),
    )
    .min(1)
    .max(100),
  /** ARNs, with `*` and `?` in them, or `*`. No policy variables. */
  resources: z
    .array(
      z
        .string()
        .max(1_000)
        .regex(/^(?:\*|arn:aws[a-z-]*:[a-z0-9-]+:[^"\\\s$]+)$/, 'is an ARN, or *'),
    )
    .min(1)
    .max(100),
});
export type AwsStatement = z.infer<typeof statement>;
const allow = z.array(statement).min(1).max(50);

const arnOf = (what: string) =>
  z
    .string()
    .regex(
      new RegExp(`^arn:aws[a-z-]*:rolesanywhere:[a-z0-9-]+:\\d{12}:${what}/[0-9a-f-]{36}$`),
      `is the ARN of a ${what}`,
    );

export const awsSource = z.strictObject({
  type: z.literal('aws'),
  /** That tasks take, with an identity token of Gatehouse. */
  role: z.string().regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/, 'is the ARN of a role'),
  region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'is a region: eu-central-1'),
  /** What any session may do at most. What the role may not do no session may. */
  allow,
  /**
   * Without an identity provider in IAM: Gatehouse proves itself to IAM Roles Anywhere with its own certificate, gets a session of this role, and takes
   * `role` with it. AWS then fetches nothing from Gatehouse.
   */
  rolesAnywhere: z
    .strictObject({
      trustAnchor: arnOf('trust-anchor'),
      profile: arnOf('profile'),
      role: z.string().regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/, 'is the ARN of a role'),
      url: z.url().max(1_000).optional(),
    })
    .optional(),
  /** As IAM's identity provider has it. */
  audience: z.string().min(1).max(255).default('sts.amazonaws.com'),
  /** Of STS, where it is not the region's own. */
  url: z.url().max(1_000).optional(),
  /** Where that is not on the public internet. Link-local addresses never. */
  allowPrivateAddress: z.boolean().default(false),
});
export type AwsSource = z.infer<typeof awsSource>;

const awsScope = z.strictObject({ allow: allow.optional() });
export type AwsScope = z.infer<typeof awsScope>;

/** The session policy that narrows a role to these. */
export const sessionPolicyOf = (allowed: readonly AwsStatement[]): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: allowed.map(({ actions, resources }) => ({ Effect: 'Allow', Action: actions, Resource: resources })),
  });

export const awsKind: CredentialKind<AwsSource, AwsScope> = {
  from: awsSource,
  scope: awsScope,
  parts: () => ['accessKeyId', 'secretAccessKey', 'sessionToken'],
  narrow(from, { allow: asked = from.allow }) {
    for (const { actions, resources } of asked)
      for (const action of actions)
        for (const resource of resources)
          if (!from.allow.some((each) => covers(each, action, resource)))
            return {
              problem: `This provider issues no ${action} on ${resource}. Ask for less, or have it added to the provider's \`allow\`.`,
            };
    return thatFits(asked);
  },
  meet({ allow: a }, { allow: b }) {
    if (!a || !b) return { scope: a || b ? { allow: a ?? b } : {} };
    const both = a.flatMap((one) =>
      b.flatMap((other): AwsStatement[] => {
        const actions = inBoth(one.actions, other.actions, isActionWithin);
        const resources = inBoth(one.resources, other.resources, isGlobWithin);
        return actions.length > 0 && resources.length > 0 ? [{ actions, resources }] : [];
      }),
    );
    return both.length > 0 ? thatFits(both) : nothingLeft('action on a resource');
  },
};

const covers = ({ actions, resources }: AwsStatement, action: string, resource: string): boolean =>
  actions.some((each) => isActionWithin(action, each)) && resources.some((each) => isGlobWithin(resource, each));

/** AWS reads actions without regard to case. */
const isActionWithin = (inner: string, outer: string) => isGlobWithin(inner.toLowerCase(), outer.toLowerCase());

/** Of two patterns the one that is within the other; none where neither is for sure. */
function inBoth(
  a: readonly string[],
  b: readonly string[],
  isWithin: (inner: string, outer: string) => boolean,
): string[] {
  const all = a.flatMap((one) =>
    b.flatMap((other) => (isWithin(one, other) ? [one] : isWithin(other, one) ? [other] : [])),
  );
  return [...new Set(all)];
}

function thatFits(allowed: AwsStatement[]): Narrowed<AwsScope> {
  const { length } = sessionPolicyOf(allowed);
  if (length <= POLICY_CHARACTERS) return { scope: { allow: allowed } };
  return {
    problem: `The session policy would have ${length} characters, and AWS takes ${POLICY_CHARACTERS}. Ask for less, or use patterns.`,
  };
}
