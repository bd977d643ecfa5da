import type { ChannelManifest } from '@gatehouse/protocol';
import { z } from 'zod';
import { GatehouseError, isJsonObject, type Json, parseStrictJson } from '../../platform/index.ts';
import { createBotTokens } from './bot-token.ts';
import { call } from './call.ts';
import type { Message } from './message.ts';
import { type Answer, type Channel, NotDeliverable, type Tools } from './types.ts';

const JSON_DEPTH = 32;
const DENY = 'gatehouse-deny';
const APPROVE = 'gatehouse-approve';
const TOKEN_EARLY_MS = 60_000;

/** What is read of an activity: a button that says `Action.Execute` makes an invoke of this shape. */
const activity = z.object({
  type: z.string(),
  id: z.string().min(1).max(200),
  name: z.string().optional(),
  replyToId: z.string().max(200).optional(),
  channelId: z.literal('msteams'),
  serviceUrl: z.string().max(500),
  from: z.object({ id: z.string(), aadObjectId: z.string().min(1).max(100).optional() }),
  conversation: z.object({ id: z.string(), tenantId: z.string().optional() }).optional(),
  value: z
    .object({ action: z.object({ verb: z.string(), data: z.object({ approval: z.string().max(100) }).optional() }) })
    .optional(),
});

/**
 * An Adaptive Card in Microsoft Teams: by a Workflows address, which is told and can't answer, or by a bot, whose card changes once somebody has decided
 * and whose button denies. Text of agents stands in `TextRun`s, in which Teams reads no Markdown.
 */
export function openTeams(manifest: ChannelManifest, tools: Tools): Channel {
  const teams = manifest.teams as NonNullable<ChannelManifest['teams']>;
  return teams.bot ? openBot(manifest, teams.bot, tools) : openWorkflow(manifest, teams.workflow, tools);
}

type Teams = NonNullable<ChannelManifest['teams']>;

function openWorkflow(manifest: ChannelManifest, workflow: Teams['workflow'], tools: Tools): Channel {
  if (!workflow) throw new GatehouseError('internal', 'teams.nowhere', 'The channel has neither a workflow nor a bot.');
  return {
    async send(message) {
      // The address itself is the secret: whoever has it can post.
      const address = (await tools.openSecret(workflow.address, workflow.origin)).reveal();
      if (URL.parse(address)?.origin !== new URL(workflow.origin).origin)
        throw new NotDeliverable('the stored address is of another origin than the manifest says');
      const body = {
        type: 'message',
        attachments: [{ contentType: CARD_TYPE, contentUrl: null, content: cardOf(message, []) }],
      };
      await call(tools, manifest, address, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }).catch((error: Error) => {
        // What went wrong on the way names the address.
        if (error instanceof GatehouseError) throw new Error(`the workflow could not be reached (${error.code})`);
        throw error;
      });
      return null;
    },
  };
}

function openBot(manifest: ChannelManifest, bot: NonNullable<Teams['bot']>, tools: Tools): Channel {
  const { appId, password, tenant, serviceUrl, conversation, approveButton, loginUrl, metadataUrl } = bot;
  const { allowPrivateAddress, ca } = manifest;
  const options = { allowPrivateAddress, ...(ca !== undefined && { ca }) };
  const verify = createBotTokens({ fetchJson: (url) => tools.outbound.fetchJson(url, options), metadataUrl });
  let own: { token: string; until: number } | undefined;

  async function ownToken(): Promise<string> {
    const now = tools.clock.now();
    if (own && own.until > now + TOKEN_EARLY_MS) return own.token;
    const url = `${loginUrl}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`;
    const secret = await tools.openSecret(password, url);
    const answer = await call(tools, manifest, url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: appId,
        client_secret: secret.reveal(),
        scope: 'https://api.botframework.com/.default',
      }).toString(),
    });
    const json = parseStrictJson(answer.body, JSON_DEPTH);
    if (!isJsonObject(json) || typeof json.access_token !== 'string') throw new Error('no token for the bot was given');
    own = { token: json.access_token, until: now + Number(json.expires_in ?? 0) * 1_000 };
    return own.token;
  }

  async function post(method: 'POST' | 'PUT', path: string, message: Message, buttons: Button[]): Promise<Json> {
    const url = `${serviceUrl.replace(/\/$/, '')}/v3/conversations/${encodeURIComponent(conversation)}/activities${path}`;
    const answer = await call(tools, manifest, url, {
      method,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${await ownToken()}` },
      body: JSON.stringify({
        type: 'message',
        attachments: [{ contentType: CARD_TYPE, content: cardOf(message, buttons) }],
      }),
    });
    return answer.body.byteLength === 0 ? {} : parseStrictJson(answer.body, JSON_DEPTH);
  }

  return {
    takesAuthorization: true,
    async send(message) {
      const buttons: Button[] = [
        ...(approveButton && message.isWhole ? [{ verb: APPROVE, title: 'Approve here' }] : []),
        { verb: DENY, title: 'Deny' },
      ];
      const answer = await post('POST', '', message, message.event === 'asked' ? buttons : []);
      return isJsonObject(answer) && typeof answer.id === 'string' ? answer.id : null;
    },
    async close(message, { reference }) {
      if (reference === null) throw new NotDeliverable('Teams did not say what the message is called');
      await post('PUT', `/${encodeURIComponent(reference)}`, message, []);
    },
    async hear({ headers, body }) {
      const said = activity.parse(parseStrictJson(Buffer.from(body), JSON_DEPTH));
      const authorization = typeof headers.authorization === 'string' ? headers.authorization : undefined;
      const { channelId, serviceUrl: service } = said;
      const now = tools.clock.now();
      const { claims } = await verify(authorization, { appId, channelId, serviceUrl: service, now });
      if (said.conversation?.tenantId !== tenant)
        throw new GatehouseError('forbidden', 'channel.team', 'The message is of another tenant.');
      const action = said.name === 'adaptiveCard/action' ? said.value?.action : undefined;
      if (said.type !== 'invoke' || !action || (action.verb !== DENY && action.verb !== APPROVE))
        return { status: 200 };
      return {
        message: said.id,
        approval: action.data?.approval ?? '',
        decision: action.verb === DENY ? 'deny' : 'approve',
        reason: '',
        // The token signs no body: what counts is that it answers the card that was sent about this approval.
        saidTo: said.replyToId ?? '',
        until: Number(claims.exp ?? 0) * 1_000,
        who: said.from.aadObjectId ?? '',
        evidence: { claims: claims as Json, activity: body },
      };
    },
    reply(outcome, _answer: Answer) {
      const value = 'refused' in outcome ? `Refused: ${outcome.refused.detail}` : `It is ${outcome.approval.state}.`;
      return { status: 200, body: { statusCode: 200, type: 'application/vnd.microsoft.activity.message', value } };
    },
  };
}

const CARD_TYPE = 'application/vnd.microsoft.card.adaptive';

interface Button {
  verb: string;
  title: string;
}

const run = (text: string, more: object = {}) => ({
  type: 'RichTextBlock',
  inlines: [{ type: 'TextRun', text, ...more }],
});

function cardOf(message: Message, buttons: Button[]): Json {
  const { heading, facts, arguments: args, url, event, approval } = message;
  const actions = [
    { type: 'Action.OpenUrl', title: 'Review and approve', url },
    ...buttons.map(({ verb, title }) => ({ type: 'Action.Execute', title, verb, data: { approval } })),
  ];
  return {
    $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
    type: 'AdaptiveCard',
    version: '1.4',
    body: [
      run(heading, { weight: 'Bolder', size: 'Medium' }),
      ...facts.map(([label, value]) => run(`${label}: ${value}`)),
      ...(args === null ? [] : [run(args, { fontType: 'Monospace' })]),
    ],
    ...(event === 'asked' && { actions }),
  } as Json;
}
