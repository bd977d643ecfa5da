import { openCiba } from './ciba.ts';
import { openJira } from './jira.ts';
import { openMail } from './mail.ts';
import { openPush } from './push.ts';
import { openServiceNow } from './servicenow.ts';
import { openSlack } from './slack.ts';
import { openTeams } from './teams.ts';
import type { ChannelKinds } from './types.ts';
import { openWebhook } from './webhook.ts';

/** One file for each. */
export const kinds: ChannelKinds = {
  webhook: openWebhook,
  slack: openSlack,
  mail: openMail,
  teams: openTeams,
  jira: openJira,
  serviceNow: openServiceNow,
  ciba: openCiba,
  push: openPush,
};
