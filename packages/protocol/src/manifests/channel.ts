import { z } from 'zod';
import { name, toolPattern } from '../names.ts';
import { description } from './description.ts';

/** Any receiver that speaks Standard Webhooks. */
const webhook = z.strictObject({
  /** Where it is told, by POST. https, unless it lives at a private address. */
  url: z.url().max(1_000),
  /** Name of the stored secret (`gatehouse secrets set`, `whsec_…`) that deliveries are signed with. */
  secret: name,
  /** Name of the stored secret that its answers are signed with. It is set for Gatehouse's own address. Without it there are no answers. */
  answerSecret: name.optional(),
});

/** A channel of a Slack workspace, by an app with `chat:write`. */
const slack = z.strictObject({
  /** Id of the Slack channel, where the app is a member. */
  channel: z.string().regex(/^[CGD][A-Z0-9]{2,30}$/),
  /** Name of the stored secret with the app's bot token (`xoxb-…`), for Slack's address. */
  botToken: name,
  /** Name of the stored secret with the app's signing secret. It is set for Gatehouse's own address. */
  signingSecret: name,
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

/** The ways in which a channel can be reached; a manifest has exactly one. */
export const channelTypes = ['webhook', 'slack'] as const;
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
  })
  .refine((manifest) => channelTypes.filter((type) => manifest[type] !== undefined).length === 1, {
    message: `give exactly one of ${channelTypes.join(', ')}`,
  });
export type ChannelManifest = z.infer<typeof channelManifest>;

export const channelTypeOf = (manifest: ChannelManifest): ChannelType =>
  channelTypes.find((type) => manifest[type] !== undefined) as ChannelType;
