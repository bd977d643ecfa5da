import { createHash } from 'node:crypto';
import type {
  ConsentAnswer,
  ConsentChoice,
  ConsentClient,
  ConsentSummary,
  ConsentView,
  NewDelegation,
  SignedConsent,
  SignInAnswer,
} from '@gatehouse/protocol';
import { type Clock, canonicalJson, GatehouseError, type Json, limits } from '../../platform/index.ts';
import { checkParameters, type Registry } from '../../registry/index.ts';
import type { DatabaseTransaction, RecordChange, Storage } from '../../storage/index.ts';
import { artifactKey } from '../authorization-server/artifact-key.ts';
import { useDynamicClient } from '../authorization-server/used-client.ts';
import type { Delegations } from '../delegation/delegations.ts';
import { delegationLimits } from '../delegation/limits.ts';
import type { PasskeyVerification, People, SignedInPerson } from '../people/index.ts';
import { carriesConsentCookie } from './browser-cookie.ts';
import { type Asked, agentsFor, choiceOf, choicesFor } from './choices.ts';
import { checkSignIn, describeSignIn, isSignIn, signInGrant, signInWords } from './command-line.ts';
import { type Consent, personVersion } from './consent.ts';
import { type ConsentRequest, findRequest, requestsOf, unknown } from './requests.ts';

/**
 * Consent of people to clients: shown, answered once, recorded. A yes makes the `Grant` from which the authorization server later
 * issues; it is for exactly what was shown, and for the person in whose session it was said (law 5).
 */
export interface Consents {
  /** What waits for this person out of band. */
  list(person: SignedInPerson): Promise<ConsentSummary[]>;
  show(
    id: string,
    person: SignedInPerson,
    browser: { cookies: string | undefined; address: string | null },
    rights: Rights,
  ): Promise<ConsentView>;
  /** PublicKeyCredentialRequestOptionsJSON over this request and the answer to it. */
  options(id: string, person: SignedInPerson, signed: SignedConsent): Promise<Json>;
  /** Throws `consent.changed` when what was shown is not what is there now. */
  approve(
    id: string,
    person: SignedInPerson,
    cookies: string | undefined,
    answer: ConsentAnswer,
    rights: Rights,
  ): Promise<{ redirect: string | null }>;
  deny(id: string, person: SignedInPerson, cookies: string | undefined): Promise<{ redirect: string | null }>;
  /** Lets the command line have a session of this person. Throws as `approve` does, and `consent.unknown` for any other request. */
  signIn(id: string, person: SignedInPerson, answer: SignInAnswer): Promise<{ ok: true }>;
}

/** What the policies say of this person. */
export interface Rights {
  mayDelegate: boolean;
}

export interface ConsentDependencies {
  storage: Storage;
  registry: Registry;
  people: PasskeyVerification & Pick<People, 'presence'>;
  delegations: Pick<Delegations, 'createWithin'>;
  recordChange: RecordChange;
  clock: Clock;
  publicUrl: string;
  /** What the authorization server knows of a client. */
  describeClient(id: string, redirectUri: string | null): Promise<ConsentClient | undefined>;
}

/** A code is answered within a minute, and the task that follows has its own end; the grant outlives both. */
const GRANT_TTL_MS = (limits.taskTtlSeconds + 15 * 60) * 1000;

export function createConsents(dependencies: ConsentDependencies): Consents {
  const { storage, registry, people, delegations, recordChange, clock, publicUrl, describeClient } = dependencies;
  const https = publicUrl.startsWith('https:');

  /** The request, if it is this person's to answer, in this browser. */
  async function open(id: string, person: SignedInPerson, cookies: string | undefined): Promise<ConsentRequest> {
    const request = await findRequest(storage.db, id, clock.now());
    if (request.uid !== null && !carriesConsentCookie(cookies, request.uid, https))
      throw new GatehouseError(
        'forbidden',
        'consent.other-browser',
        'This request was begun in another browser. Only there can it be answered. If somebody sent you this link, do not answer it.',
      );
    if (request.person !== null && request.person !== person.email) throw unknown();
    if (request.isAnswered) throw answered();
    return request;
  }

  async function askedOf(request: ConsentRequest, { email }: SignedInPerson): Promise<Asked> {
    const client = await describeClient(request.clientId, request.redirectUri);
    const person = registry.snapshot().people.get(email);
    if (!client || !person) throw unknown();
    return { id: request.id, client, person, resources: request.resources, wish: request.wish };
  }

  /** What the answer is about, as it is now; throws where it differs from what was shown. */
  function chosen(asked: Asked, { agent, template, digest }: Pick<ConsentAnswer, 'agent' | 'template' | 'digest'>) {
    const snapshot = registry.snapshot();
    const found = agentsFor(snapshot, asked).find(({ name }) => name === agent);
    const allowed = found && snapshot.blueprints.get(found.manifest.blueprint)?.templates.includes(template);
    const choice = found && allowed ? choiceOf(snapshot, found, template, asked) : undefined;
    if (!found || choice?.digest !== digest)
      throw new GatehouseError(
        'conflict',
        'consent.changed',
        'What this agent may do has changed since it was shown to you. Look at it again, then answer.',
      );
    return { choice, agent: found };
  }

  async function update(transaction: DatabaseTransaction, { row, payload }: ConsentRequest, change: object) {
    // Whoever has answered meanwhile has written another payload.
    const { numUpdatedRows } = await transaction
      .updateTable('oauth_artifacts')
      .set({ payload: JSON.stringify({ ...payload, ...change }) })
      .where('model', '=', row.model)
      .where('id', '=', row.id)
      .where('payload', '=', row.payload)
      .where('expires_at', '>', clock.now())
      .executeTakeFirstOrThrow();
    if (numUpdatedRows !== 1n) throw answered();
  }

  /** Answers the request with a grant that the authorization server issues from. */
  async function grant(
    transaction: DatabaseTransaction,
    request: ConsentRequest,
    grantId: string,
    { email }: SignedInPerson,
    granted: object,
  ): Promise<void> {
    const now = clock.now();
    await update(transaction, request, resultOf(request, grantId, email));
    await transaction
      .insertInto('oauth_artifacts')
      .values({
        model: 'Grant',
        id: artifactKey(grantId),
        payload: JSON.stringify({
          kind: 'Grant',
          iat: Math.floor(now / 1000),
          exp: Math.floor((now + GRANT_TTL_MS) / 1000),
          accountId: email,
          clientId: request.clientId,
          rar: [granted],
        }),
        expires_at: now + GRANT_TTL_MS,
        consumed_at: null,
        uid: null,
        grant_id: null,
        user_code: null,
      })
      .execute();
  }

  const redirectOf = ({ uid, payload }: ConsentRequest) => (uid === null ? null : String(payload.returnTo));

  return {
    async list(person) {
      const requests = await requestsOf(storage.db, person.email, clock.now());
      const all = requests.map(async (request) => {
        const client = await describeClient(request.clientId, null);
        const { id, bindingMessage, wish, createdAt, expiresAt } = request;
        return client ? [{ id, client, bindingMessage, wish, createdAt, expiresAt }] : [];
      });
      return (await Promise.all(all)).flat();
    },

    async show(id, person, { cookies, address }, { mayDelegate }) {
      const request = await open(id, person, cookies);
      const asked = await askedOf(request, person);
      const choices = choicesFor(registry.snapshot(), asked);
      const { kind, bindingMessage, userCode, resources, wish, createdAt, expiresAt } = request;
      return {
        id: request.id,
        kind,
        client: asked.client,
        resources,
        bindingMessage,
        userCode,
        wish,
        signIn: isSignIn(request, asked.client) ? await describeSignIn(people, request, person, address) : null,
        choices,
        standing: mayDelegate && choices.length > 0 ? { mostDays: delegationLimits.lifeDays } : null,
        obstacle: choices.length > 0 ? null : obstacleOf(asked),
        createdAt,
        expiresAt,
      };
    },

    async options(id, person, signed) {
      await open(id, person, undefined);
      return people.assertionOptions(person.email, challengeOf(id, signed));
    },

    async approve(id, person, cookies, answer, { mayDelegate }) {
      const request = await open(id, person, cookies);
      const asked = await askedOf(request, person);
      const { choice, agent } = chosen(asked, answer);
      const template = registry.snapshot().templates.get(answer.template);
      if (template) checkParameters(template, answer.parameters);
      checkNarrowing(choice, answer);
      const standing = answer.standing && standingOf(answer, request.resources, publicUrl, mayDelegate);
      const verified = request.kind === 'backchannel' ? await proven(id, person, answer) : undefined;
      const consent: Omit<Consent, 'personVersion' | 'delegation'> = {
        agent: agent.name,
        agentEpoch: agent.epoch,
        user: person.email,
        template: choice.template,
        parameters: answer.parameters,
        intent: answer.intent,
        tools: answer.tools,
        ttlSeconds: answer.ttlSeconds,
        digest: choice.digest,
        dpopKey: request.dpopKey,
        started: null,
      };
      const grantId = `grant-${crypto.randomUUID()}`;
      await storage.transaction(async (transaction) => {
        const agentNow = await transaction
          .selectFrom('agents')
          .select(['state', 'epoch'])
          .where('name', '=', agent.name)
          .executeTakeFirst();
        if (agentNow?.state !== 'active' || agentNow.epoch !== agent.epoch)
          throw new GatehouseError(
            'conflict',
            'consent.changed',
            `The agent ${agent.name} was stopped or changed just now. Look at it again, then answer.`,
          );
        if (verified) await people.useAssertion(transaction, verified);
        const delegation = standing
          ? await delegations.createWithin(transaction, person.email, standing, 'consent')
          : null;
        const kept: Consent = {
          ...consent,
          delegation: delegation?.id ?? null,
          personVersion: await personVersion(transaction, person.email),
        };
        await grant(transaction, request, grantId, person, kept);
        await useDynamicClient(transaction, request.clientId, clock.now());
        await recordChange(transaction, {
          operation: 'consent.grant',
          by: `person:${person.email}`,
          agent: agent.name,
          environment: choice.environment,
          changes: [
            ...describe(request, asked.client),
            `template: ${choice.template}`,
            `parameters: ${canonicalJson(answer.parameters)}`,
            `tools: ${answer.tools.slice(0, 200).join(', ')}${answer.tools.length > 200 ? ` … (${answer.tools.length})` : ''}`,
            `left out: ${leftOut(choice, answer)}`,
            `for at most ${answer.ttlSeconds} s`,
            `left standing: ${delegation ? `${delegation.id} for ${answer.standing?.days} days` : 'nothing'}`,
            `digest ${choice.digest}`,
          ],
          detail: answer.intent,
        });
      });
      return { redirect: redirectOf(request) };
    },

    async signIn(id, person, answer) {
      const request = await open(id, person, undefined);
      const { client } = await askedOf(request, person);
      if (!isSignIn(request, client)) throw unknown();
      const shown = await describeSignIn(people, request, person, null);
      const verified = await checkSignIn(shown, answer, (assertion) =>
        people.verifyAssertion(person.email, challengeOf(id, { digest: answer.digest }), assertion),
      );
      await storage.transaction(async (transaction) => {
        if (verified) await people.useAssertion(transaction, verified);
        const signIn = signInGrant(request, person);
        await grant(transaction, request, `grant-${crypto.randomUUID()}`, person, { signIn });
        await recordChange(transaction, {
          operation: 'consent.sign-in',
          by: `person:${person.email}`,
          changes: [...signInWords(shown), ...describe(request, client), `digest ${shown.digest}`],
        });
      });
      return { ok: true };
    },

    async deny(id, person, cookies) {
      const request = await open(id, person, cookies);
      const client = await describeClient(request.clientId, request.redirectUri);
      const error = { error: 'access_denied', error_description: 'The person said no.' };
      await storage.transaction(async (transaction) => {
        const change =
          request.kind === 'browser'
            ? { result: error }
            : { error: error.error, errorDescription: error.error_description };
        await update(transaction, request, change);
        await recordChange(transaction, {
          operation: 'consent.deny',
          by: `person:${person.email}`,
          ...(client?.known === 'agent' && { agent: client.id }),
          changes: client ? describe(request, client) : [`client ${request.clientId}`],
        });
      });
      return { redirect: redirectOf(request) };
    },
  };

  async function proven(id: string, person: SignedInPerson, { assertion, ...signed }: ConsentAnswer) {
    if (!assertion)
      throw new GatehouseError(
        'bad-request',
        'consent.passkey-needed',
        'Nobody opened this in your browser, so it needs your passkey: ask POST /consents/:id/options for the challenge.',
      );
    return people.verifyAssertion(person.email, challengeOf(id, signed), assertion as Json);
  }
}

/** What the passkey signs: this request and the whole answer, so that nothing on the way from the page can put more into it. */
export function challengeOf(id: string, signed: SignedConsent): Uint8Array {
  return createHash('sha256')
    .update(canonicalJson({ v: 1, consent: id, ...signed }))
    .digest();
}

/** The delegation that a yes leaves: what was consented to and nothing else, only at the servers that its token is for. */
function standingOf(
  { agent, template, parameters, tools, ttlSeconds, standing }: ConsentAnswer,
  resources: string[],
  publicUrl: string,
  mayDelegate: boolean,
): NewDelegation {
  if (!mayDelegate)
    throw new GatehouseError(
      'forbidden',
      'consent.standing',
      'The policies of this workspace do not let you leave a standing delegation. Answer without one.',
    );
  const everywhere = resources.length === 0 || resources.includes(`${publicUrl}/mcp`);
  const servers = new Set(resources.map((resource) => resource.slice(resource.lastIndexOf('/') + 1)));
  const within = everywhere ? tools : tools.filter((ref) => servers.has(ref.split(/[/#]/, 1)[0] as string));
  if (within.length === 0)
    throw new GatehouseError(
      'bad-request',
      'consent.standing-empty',
      'None of the tools that are left is at a server that this is for, so nothing could be left standing. Answer without it.',
    );
  return { agent, template, parameters, tools: within, taskTtlSeconds: ttlSeconds, days: standing?.days ?? 1 };
}

/** What the authorization server finds when the client, or the browser, comes back (`login` signs nobody in for longer than that). */
function resultOf({ kind }: ConsentRequest, grantId: string, email: string): object {
  if (kind === 'browser') return { result: { login: { accountId: email, remember: false }, consent: { grantId } } };
  return { accountId: email, grantId, scope: '' };
}

function checkNarrowing(choice: ConsentChoice, { tools, ttlSeconds }: ConsentAnswer): void {
  const shown = new Set(choice.tools.map(({ ref }) => ref));
  const other = tools.find((ref) => !shown.has(ref));
  if (other !== undefined)
    throw new GatehouseError(
      'bad-request',
      'consent.wider',
      `"${other}" was not among what was shown. Tools can be taken away here and not added.`,
    );
  if (new Set(tools).size !== tools.length)
    throw new GatehouseError('bad-request', 'consent.twice', 'A tool stands twice in the answer.');
  if (ttlSeconds > choice.ttlSeconds)
    throw new GatehouseError(
      'bad-request',
      'consent.wider',
      `Such a task lasts ${choice.ttlSeconds} s at most. The time can be made shorter here and not longer.`,
    );
}

function leftOut(choice: ConsentChoice, { tools }: ConsentAnswer): string {
  const kept = new Set(tools);
  const left = choice.tools.filter(({ ref }) => !kept.has(ref)).map(({ ref }) => ref);
  return left.slice(0, 200).join(', ') || 'nothing';
}

function describe(request: ConsentRequest, client: ConsentClient): string[] {
  return [
    `client ${client.id} (${client.known}) named "${client.name}"`,
    `asked for in ${{ browser: 'the browser', device: 'the device flow', backchannel: 'the backchannel' }[request.kind]}`,
    ...(request.redirectUri === null ? [] : [`answer to ${request.redirectUri}`]),
    ...request.resources.map((resource) => `resource ${resource}`),
    ...(request.bindingMessage === null ? [] : [`binding message: ${request.bindingMessage}`]),
  ];
}

function obstacleOf({ client, person, wish }: Asked): string {
  if (wish?.tools)
    return `${client.name} asks for ${wish.tools.join(', ').slice(0, 300)}, and there is nothing among them that an agent could do for you with it.`;
  if (client.known === 'command-line') return 'The command line drives no agent.';
  if (client.known === 'agent') return `The agent ${client.id} is stopped, or has no template to start tasks under.`;
  return `There is no agent that ${client.name} can drive for you. An agent is driven by its owner or by a person with the role developer; you are ${person.email} (${person.roles.join(', ')}). Ask an admin to make you the owner of one.`;
}

function answered(): GatehouseError {
  return new GatehouseError(
    'conflict',
    'consent.answered',
    'This request has been answered already. Begin again in the application if that was not you.',
  );
}
