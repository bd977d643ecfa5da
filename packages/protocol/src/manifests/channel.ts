import { z } from 'zod';
import { name, ownSecretName, secretName, toolPattern } from '../names.ts';
import { description } from './description.ts';

/** Any receiver that speaks Standard Webhooks. */
const webhook = z.strictObject({
  /** Where it is told, by POST. https, unless it lives at a private address. */
  url: z.url().max(1_000),
  /** Name of the stored secret (`gatehouse secrets set`, `whsec_…`) that deliveries are signed with. */
  secret: secretName,
  /** Name of the stored secret that its answers are signed with. It is set for Gatehouse's own address. Without it there are no answers. */
  answerSecret: ownSecretName.optional(),
});

/** A channel of a Slack workspace, by an app with `chat:write`. */
const slack = z.strictObject({
  /** Id of the Slack channel, where the app is a member. */
  channel: z.string().regex(/^[CGD][A-Z0-9]{2,30}$/),
  /** Name of the stored secret with the app's bot token (`xoxb-…`), for Slack's address. */
  botToken: secretName,
  /** Name of the stored secret with the app's signing secret. It is set for Gatehouse's own address. */
  signingSecret: ownSecretName,
  /** Id of the workspace whose people may answer; left out, of any in which the app is installed. */
  team: z
    .string()
    .regex(/^[TE][A-Z0-9]{2,30}$/)
    .optional(),
  /** Shows a button that says yes in Slack, which counts only where a rule accepts this channel. */
  approveButton: z.boolean().default(false),
  /** The Web API; another for GovSlack. */
  api: z.url().max(500).default('https://slack.com/api'),
});

/** A mail to each person who may decide. */
const mail = z.strictObject({
  /** Name of the mail server. Its secrets are set for `https://` and this name. */
  host: z.string().regex(/^[A-Za-z0-9.:-]{1,253}$/),
  port: z.int().min(1).max(65_535).default(587),
  /** Never without TLS: from the first byte, or by STARTTLS. */
  security: z.enum(['tls', 'starttls']).default('starttls'),
  from: z.email().max(254),
  /**
   * Puts a link for its person into each mail: used once, it opens the one approval without a sign-in. The yes needs their passkey as everywhere; a no
   * does not. Off, the link is the page.
   */
  signInLink: z.boolean().default(false),
  /** How long such a link is good for, at most; it ends with its approval. */
  signInLinkMinutes: z.int().min(1).max(240).default(60),
  user: z.string().min(1).max(254).optional(),
  /** Name of the stored secret with the password. */
  password: secretName.optional(),
  dkim: z
    .strictObject({
      domain: z.string().min(1).max(253),
      selector: z.string().min(1).max(100),
      /** Name of the stored secret with the private key (PEM). */
      key: secretName,
    })
    .optional(),
});

/** A channel or chat of Microsoft Teams: by one of the two. */
const teams = z
  .strictObject({
    /** A Workflows address ("When a Teams webhook request is received"). It can't answer. */
    workflow: z
      .strictObject({
        /** Name of the stored secret that is the whole address. */
        address: secretName,
        /** Origin of that address, for which the secret is set. */
        origin: z.url().max(500),
      })
      .optional(),
    /** A bot that is a member. */
    bot: z
      .strictObject({
        appId: z.uuid(),
        /** Name of the stored secret with the app's client secret, for the address of `loginUrl`. */
        password: secretName,
        /** Id of the tenant that the bot is in, and whose people may answer. */
        tenant: z.uuid(),
        /** Of the conversation, as the bot was told when it was added. */
        serviceUrl: z.url().max(500),
        conversation: z.string().min(1).max(300),
        /** Shows a button that says yes in Teams, which counts only where a rule accepts this channel. */
        approveButton: z.boolean().default(false),
        loginUrl: z.url().max(500).default('https://login.microsoftonline.com'),
        metadataUrl: z.url().max(500).default('https://login.botframework.com/v1/.well-known/openidconfiguration'),
      })
      .optional(),
  })
  .refine(({ workflow, bot }) => (workflow === undefined) !== (bot === undefined), {
    message: 'give `workflow` or `bot`',
  });

/** An issue of Jira Cloud for each approval. */
const jira = z.strictObject({
  /** Of the site: `https://example.atlassian.net`. */
  url: z.url().max(500),
  /** Address of the account that opens issues. */
  user: z.string().min(1).max(254),
  /** Name of the stored secret with its API token. */
  token: secretName,
  project: z.string().regex(/^[A-Z][A-Z0-9_]{1,49}$/),
  issueType: z.string().min(1).max(100).default('Task'),
  /**
   * What a status there says here, of whoever brought the issue to it. `approve` counts only where a rule accepts this channel. Left out: the issue is a
   * reminder alone.
   */
  decisions: z
    .strictObject({
      approve: z.array(z.string().min(1).max(100)).max(20).default([]),
      deny: z.array(z.string().min(1).max(100)).max(20).default([]),
    })
    .default({ approve: [], deny: [] }),
  /** Name of the stored secret that Jira signs its webhook with, set for Gatehouse's own address. Without one, issues are asked about. */
  webhookSecret: ownSecretName.optional(),
});

/** A record of ServiceNow for each approval. */
const serviceNow = z.strictObject({
  /** Of the instance: `https://example.service-now.com`. */
  url: z.url().max(500),
  user: z.string().min(1).max(254),
  /** Name of the stored secret with its password. */
  password: secretName,
  table: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,79}$/)
    .default('change_request'),
  /** Further fields of the record: `assignment_group`, `type`. */
  fields: z.record(z.string().regex(/^[a-z][a-z0-9_]{0,79}$/), z.string().max(500)).default({}),
  /** True: an approval or rejection there counts here, of the approver who gave it. Approvals count only where a rule accepts this channel. */
  counts: z.boolean().default(false),
});

/** OpenID CIBA at the company's provider, in poll mode: each person who may decide confirms on their own device. */
const ciba = z.strictObject({
  issuer: z.url().max(500),
  clientId: z.string().min(1).max(500),
  /** Name of the stored secret of the client, for the provider's endpoints (`client_secret_basic`). */
  secret: secretName,
  /** The claim of the ID token that is the key of `people`, which is also the `login_hint`. */
  idClaim: z.string().min(1).max(100).default('sub'),
  /** What the client's ID tokens are signed with. */
  signedWith: z.enum(['RS256', 'PS256', 'ES256', 'EdDSA']).default('RS256'),
  /** True: confirming counts where a rule accepts this channel, of who has looked at the approval's page before. Otherwise it reminds. */
  counts: z.boolean().default(false),
  /** Asked for as `acr_values`; a confirmation with another `acr` does not count. */
  acrValues: z
    .array(z.string().regex(/^[\x21-\x7e]{1,200}$/))
    .min(1)
    .max(10)
    .optional(),
  /** A confirmation does not count where the ID token's `auth_time` is older than that, or is missing. */
  maxAuthAgeSeconds: z.int().min(1).max(86_400).optional(),
});

/** Notifications of the console, by Web Push, in the browsers in which those who may decide have turned them on. */
const push = z.strictObject({
  /** Whom a push service may write to about these messages (VAPID); left out, it is told the public URL. */
  contact: z.email().max(254).optional(),
  /** Hosts of the push services that browsers may name; `*.` stands for any name below. Others are not called. */
  services: z
    .array(z.string().regex(/^(\*\.)?[a-z0-9.:-]{1,253}$/))
    .min(1)
    .max(50)
    .default(['fcm.googleapis.com', 'updates.push.services.mozilla.com', '*.push.apple.com', '*.notify.windows.com']),
});

/** The ways in which a channel can be reached; a manifest has exactly one. */
export const channelTypes = ['webhook', 'slack', 'mail', 'teams', 'jira', 'serviceNow', 'ciba', 'push'] as const;
export type ChannelType = (typeof channelTypes)[number];

/**
 * Where people are told of what waits for them. A channel reminds and leads to the page where a passkey approves; what a person answers
 * in one is a no at most, unless a rule accepts its own identity.
 */
export const channelManifest = z
  .strictObject({
    kind: z.literal('Channel'),
    name,
    description,
    /** Whose approvals it tells of; each left out means all. */
    environments: z.array(name).min(1).max(100).optional(),
    agents: z.array(name).min(1).max(1_000).optional(),
    tools: z.array(toolPattern).min(1).max(100).optional(),
    /** What a message says: `nothing` but that something waits; which agent wants which `tool`; or its `arguments` too, credentials masked. */
    show: z.enum(['nothing', 'tool', 'arguments']).default('tool'),
    /** Who somebody is: the name or id that the channel knows them by, and their address here. Others can answer nothing. */
    people: z.record(z.string().min(1).max(200), z.email().max(254)).default({}),
    /** Where it is not on the public internet. Link-local addresses never. */
    allowPrivateAddress: z.boolean().default(false),
    /** PEM certificates to trust for it instead of the system's. */
    ca: z.string().max(100_000).optional(),
    webhook: webhook.optional(),
    slack: slack.optional(),
    mail: mail.optional(),
    teams: teams.optional(),
    jira: jira.optional(),
    serviceNow: serviceNow.optional(),
    ciba: ciba.optional(),
    push: push.optional(),
  })
  .refine((manifest) => channelTypes.filter((type) => manifest[type] !== undefined).length === 1, {
    message: `give exactly one of ${channelTypes.join(', ')}`,
  });
export type ChannelManifest = z.infer<typeof channelManifest>;

export const channelTypeOf = (manifest: ChannelManifest): ChannelType =>
  channelTypes.find((type) => manifest[type] !== undefined) as ChannelType;
