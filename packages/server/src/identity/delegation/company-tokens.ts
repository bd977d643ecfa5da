import type { IdentityProviderManifest } from '@gatehouse/protocol';
import {
  type Clock,
  GatehouseError,
  isJsonObject,
  type JsonObject,
  type Log,
  sha256Hex,
} from '../../platform/index.ts';
import type { Agent, Registry } from '../../registry/index.ts';
import type { RecordChange, Storage } from '../../storage/index.ts';
import {
  audienceOf,
  createRefusalMeter,
  type IssuerKeys,
  isSignedBy,
  type OutsideToken,
  readOutsideToken,
  timeProblem,
  useProof,
} from '../federation/index.ts';
import { type Claims, whoIsKnown } from '../people/company-sign-in/index.ts';
import { delegationLimits } from './limits.ts';

/** draft-ietf-oauth-identity-assertion-authz-grant §3: the `typ` that keeps every other token from passing for an ID-JAG. */
export const ID_JAG_TYPE = 'oauth-id-jag+jwt';

/** What the company's provider has said of a person, and an agent has brought. Verified; not used up yet. */
export interface BroughtToken {
  provider: IdentityProviderManifest;
  claims: JsonObject;
  /** Uses it up (where it has a `jti`) and says whom it is about: somebody known here, by the rule of sign-in. */
  person(): Promise<string>;
}

export interface CompanyTokensDependencies {
  storage: Storage;
  registry: Registry;
  recordChange: RecordChange;
  issuerKeys: IssuerKeys;
  clock: Clock;
  log: Log;
  publicUrl: string;
}

/** Both throw `forbidden` GatehouseErrors for what is not taken, and nothing but a configured provider is ever asked. */
export interface CompanyTokens {
  /** An ID token (OpenID Connect Core §3.1.3.7; a nonce is between the application that asked for it and the provider). */
  idToken(text: string, agent: Agent): Promise<BroughtToken>;
  /** An ID-JAG for this server and this client (draft-ietf-oauth-identity-assertion-authz-grant §4.4.1). */
  idJag(text: string, agent: Agent): Promise<BroughtToken>;
}

export function createCompanyTokens(deps: CompanyTokensDependencies): CompanyTokens {
  const { storage, registry, recordChange, issuerKeys, clock, log, publicUrl } = deps;
  const mayRecord = createRefusalMeter(clock);

  type Enabled = (provider: IdentityProviderManifest) => boolean;
  /** The issuer's, and of several registrations at one issuer the one that `fits`. Its signature is the first thing that is looked at. */
  async function providerOf(
    token: OutsideToken,
    member: 'tokenExchange' | 'idJag',
    fits: Enabled,
  ): Promise<IdentityProviderManifest> {
    const { iss } = token.claims;
    // An ID-JAG of our own for ourselves would widen what it came from (§"Cross-Domain Use").
    if (iss === publicUrl) throw refused('own', 'it was issued by this Gatehouse itself');
    const ofIssuer = [...registry.snapshot().identityProviders.values()].filter(({ issuer }) => issuer === iss);
    const enabled = ofIssuer.filter((provider) => provider[member] !== undefined);
    const [any] = enabled;
    if (!any)
      throw refused(
        'issuer',
        ofIssuer.length === 0
          ? 'its iss is no identity provider of this workspace'
          : `the identity provider "${ofIssuer[0]?.name}" is not set to vouch for people here (${member} in its manifest)`,
      );
    const keys = await issuerKeys.of(
      {
        type: 'oidc',
        url: any.issuer,
        allowPrivateAddress: any.allowPrivateAddress,
        ...(any.ca !== undefined && { ca: any.ca }),
      },
      token.keyId,
    );
    if (!(await isSignedBy(token, keys))) throw refused('signature', `no key of ${any.issuer} has signed it`);
    return enabled.find(fits) ?? any;
  }

  /** From here on the provider has really said it: what is refused is recorded (law 1), and not without end. */
  async function checked(token: OutsideToken, agent: Agent, check: () => string | undefined): Promise<void> {
    const problem = check();
    if (problem === undefined) return;
    const error = refused('claims', problem);
    await recordRefusal(token, agent, error);
    throw error;
  }

  async function recordRefusal(token: OutsideToken, agent: Agent, error: GatehouseError): Promise<void> {
    log.info('a token of an identity provider was refused', { agent: agent.name, why: error.message });
    if (!mayRecord()) return;
    await storage.transaction((transaction) =>
      recordChange(transaction, {
        operation: 'person.token.refuse',
        by: agent.spiffeId,
        agent: agent.name,
        environment: agent.manifest.environment,
        changes: [`of ${shown(token.claims.iss)}, subject ${shown(token.claims.sub)}`],
        detail: error.message.slice(0, 1_000),
      }),
    );
  }

  function brought(token: OutsideToken, provider: IdentityProviderManifest, agent: Agent): BroughtToken {
    const { claims } = token;
    const { iss, jti, exp } = claims;
    return {
      provider,
      claims,
      person: () =>
        storage
          .transaction(async (transaction) => {
            if (jti !== undefined)
              await useProof(transaction, {
                id: sha256Hex(`person ${iss} ${jti}`),
                expiresAt: Number(exp) * 1000,
                reuse: 'once',
                usedWith: agent.name,
              });
            return whoIsKnown(deps, transaction, provider, claims as Claims);
          })
          .catch(async (error: unknown) => {
            if (error instanceof GatehouseError && error.kind === 'forbidden') await recordRefusal(token, agent, error);
            throw error;
          }),
    };
  }

  return {
    async idToken(text, agent) {
      const token = readOutsideToken(text, 'jwt');
      const { claims } = token;
      const audiences = ({ clientId, tokenExchange }: IdentityProviderManifest) => [
        clientId,
        ...(tokenExchange?.audiences ?? []),
      ];
      const audience = audienceOf(claims) ?? '';
      const provider = await providerOf(token, 'tokenExchange', (each) => audiences(each).includes(audience));
      await checked(
        token,
        agent,
        () =>
          timeProblem(claims, clock.now(), delegationLimits.idTokenMaxAgeSeconds) ??
          audienceProblem(claims, audiences(provider)) ??
          identityProblem(claims) ??
          notIdToken(claims) ??
          mayActProblem(claims, agent, publicUrl),
      );
      return brought(token, provider, agent);
    },

    async idJag(text, agent) {
      const token = readOutsideToken(text, ID_JAG_TYPE);
      const { claims } = token;
      const { client_id, jti } = claims;
      const provider = await providerOf(token, 'idJag', ({ idJag }) => idJag?.agents.includes(agent.name) ?? false);
      await checked(token, agent, () => {
        if (typeof jti !== 'string') return 'it has no jti';
        if (client_id !== agent.name && client_id !== agent.spiffeId)
          return `its client_id is ${shown(client_id)}, and ${agent.name} presents it`;
        if (!provider.idJag?.agents.includes(agent.name))
          return `the identity provider "${provider.name}" does not vouch for people to ${agent.name} (idJag.agents in its manifest)`;
        return (
          timeProblem(claims, clock.now(), delegationLimits.idJagMaxAgeSeconds) ??
          audienceProblem(claims, [publicUrl]) ??
          identityProblem(claims) ??
          mayActProblem(claims, agent, publicUrl)
        );
      });
      return brought(token, provider, agent);
    },
  };
}

function audienceProblem(claims: JsonObject, accepted: string[]): string | undefined {
  const audience = audienceOf(claims);
  if (audience === undefined || !accepted.includes(audience))
    return `its aud ${shown(claims.aud)} is none that counts here, or not the only one`;
  // OpenID Connect Core §3.1.3.7: the party that it was issued to.
  if (claims.azp !== undefined && !(typeof claims.azp === 'string' && accepted.includes(claims.azp)))
    return `its azp ${shown(claims.azp)} is none that counts here`;
  return undefined;
}

const MAX_ID_CHARS = 256;

function identityProblem({ sub, jti }: JsonObject): string | undefined {
  if (typeof sub !== 'string' || sub === '' || sub.length > MAX_ID_CHARS)
    return `its sub is not a text of at most ${MAX_ID_CHARS} characters`;
  if (jti !== undefined && (typeof jti !== 'string' || jti === '' || jti.length > MAX_ID_CHARS))
    return `its jti is not a text of at most ${MAX_ID_CHARS} characters`;
  return undefined;
}

/** Access and logout tokens of providers may have no typ of their own; what they say is not that somebody has signed in. */
function notIdToken(claims: JsonObject): string | undefined {
  const other = ['events', 'scope', 'scp', 'client_id', 'authorization_details'].find((name) =>
    Object.hasOwn(claims, name),
  );
  if (other !== undefined) return `it has a claim ${other}, so it is another kind of token than an ID token`;
  return claims.typ === undefined || claims.typ === 'ID' ? undefined : 'its claim typ is not that of an ID token';
}

/** RFC 8693 §4.4: where the issuer says who may act for the person, nobody else does. */
function mayActProblem({ may_act }: JsonObject, { name, spiffeId }: Agent, publicUrl: string): string | undefined {
  if (may_act === undefined) return undefined;
  const isNamed =
    isJsonObject(may_act) &&
    (may_act.sub === name || may_act.sub === spiffeId) &&
    (may_act.iss === undefined || may_act.iss === publicUrl);
  return isNamed ? undefined : `its may_act names another than ${name}`;
}

const shown = (value: unknown): string => JSON.stringify(value ?? null).slice(0, 120);

const refused = (code: string, reason: string) =>
  new GatehouseError('forbidden', `person-token.${code}`, `The token is refused: ${reason}.`);
