import { openSlack } from './slack.ts';
import type { ChannelKinds } from './types.ts';
import { openWebhook } from './webhook.ts';

/** One file for each. */
export const kinds: ChannelKinds = { webhook: openWebhook, slack: openSlack };
