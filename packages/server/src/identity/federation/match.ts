import type { OutsideProof, TrustRuleManifest } from '@gatehouse/protocol';
import { canonicalJson, GatehouseError, type JsonObject, type Outbound, sha256Hex } from '../../platform/index.ts';
import { claimOf, conditionHolds, issuerUrlOf, maxAgeOf } from '../../registry/index.ts';
import { askSts, type CheckedAwsRequest, checkAwsRequest, isForIssuer } from './aws.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import {
  audienceOf,
  isSignedBy,
  type OutsideToken,
  readOutsideToken,
  timeProblem,
  tokenRefused,
} from './outside-token.ts';
import type { TakeTurns } from './turns.ts';

/** One thing that a rule asks of a proof, and whether it holds. The detail is for people who may read rules. */
export interface Check {
  what: string;
  ok: boolean;
  detail: string;
  /** Why nobody could say whether it holds: whoever knows could not be asked. */
  unknown?: GatehouseError;
}

/** A proof and what each rule of its issuer makes of it. */
export interface Examined {
  claims: JsonObject;
  /** Digest that stands for this one proof: of issuer and `jti`, or of all that is signed. */
  id: string;
  /** What a DPoP proof beside it must be bound to (`ath`). */
  credential: string;
  /** When it can be presented no more: milliseconds since the epoch. */
  expiresAt: number;
  /** Who issued it and about whom, for records. */
  source: string;
  rules: { rule: TrustRuleManifest; checks: Check[] }[];
}

export interface ExamineDependencies {
  outbound: Outbound;
  keys: IssuerKeys;
  /** Bounds what the proofs of one source make us ask. */
  takeTurns: TakeTurns;
  /** Where the proof comes from. */
  from: string;
  publicUrl: string;
  now: number;
  rules: Iterable<TrustRuleManifest>;
  /** Verifies the JWT-SVID of a foreign trust domain for an audience; throws a GatehouseError when it is refused. */
  verifySvid?: (token: string, trustDomain: string, audience: string) => Promise<void>;
}

/** INVARIANT: a rule matches when all its checks are ok; the signature is the first, and nothing after it is looked at where it fails. */
export const matches = ({ checks }: { checks: Check[] }): boolean => checks.length > 0 && checks.every(({ ok }) => ok);

export function examine(proof: OutsideProof, deps: ExamineDependencies): Promise<Examined> {
  return 'token' in proof ? examineToken(readOutsideToken(proof.token), deps) : examineAws(proof, deps);
}

async function examineToken(token: OutsideToken, deps: ExamineDependencies): Promise<Examined> {
  const { claims } = token;
  const { iss, sub, exp } = claims;
  // Our own tokens are for our own doors; a rule for them would be a way to live for ever.
  if (iss === deps.publicUrl) throw tokenRefused('own', 'it was issued by this Gatehouse itself');
  const isSvid = typeof sub === 'string' && sub.startsWith('spiffe:');
  const isFrom = ({ issuer }: TrustRuleManifest) =>
    issuer.type === 'oidc'
      ? // INVARIANT: no platform's token is an SVID. Rules for the two are apart because of it; see `rulesOverlap`.
        issuerUrlOf(issuer) === iss && !(isSvid && issuer.preset !== undefined)
      : issuer.type === 'spiffe' && typeof sub === 'string' && sub.startsWith(`spiffe://${issuer.trustDomain}/`);
  const rules: Examined['rules'] = [];
  // Rules of one issuer share the answer: anybody may send a token, and there may be a thousand of them.
  const signatures = new Map<string, Promise<Check>>();
  for (const rule of deps.rules) {
    if (!isFrom(rule)) continue;
    const key = canonicalJson([rule.issuer, rule.audience ?? null]);
    const signature = signatures.get(key) ?? checkSignature(rule, token, deps);
    signatures.set(key, signature);
    rules.push({ rule, checks: checkToken(rule, token, await signature, deps) });
  }
  return {
    claims,
    id: idOf(token),
    credential: token.text,
    expiresAt: typeof exp === 'number' ? Math.min(exp * 1000, deps.now + 2 * 86_400_000) : deps.now,
    source: `${shown(iss)} ${shown(sub)}`,
    rules,
  };
}

/**
 * Never of the signature: whoever has an ECDSA signature can make another one of the same text (r, n - s) without the key, and would
 * use the token a second time.
 */
function idOf({ text, claims }: OutsideToken): string {
  const { iss, sub, jti } = claims;
  return sha256Hex(
    typeof jti === 'string' && jti !== ''
      ? canonicalJson([iss ?? sub ?? null, jti])
      : text.slice(0, text.lastIndexOf('.')),
  );
}

function checkToken(
  rule: TrustRuleManifest,
  { claims }: OutsideToken,
  signature: Check,
  deps: Pick<ExamineDependencies, 'publicUrl' | 'now'>,
): Check[] {
  if (!signature.ok) return [signature];
  const audience = rule.audience ?? deps.publicUrl;
  const time = timeProblem(
    claims,
    deps.now,
    rule.issuer.type === 'spiffe' && claims.iat === undefined ? Infinity : maxAgeOf(rule),
  );
  const given = audienceOf(claims);
  return [
    signature,
    { what: 'times', ok: time === undefined, detail: time ?? 'valid now' },
    {
      what: 'audience',
      ok: given === audience,
      detail:
        given === audience
          ? audience
          : `its aud is ${shown(claims.aud)}; ask the issuer for a token whose only audience is ${audience}`,
    },
    stateCheck(rule),
    ...conditionChecks(rule, claims),
  ];
}

async function checkSignature(
  rule: TrustRuleManifest,
  token: OutsideToken,
  { keys, verifySvid, publicUrl }: ExamineDependencies,
): Promise<Check> {
  const { issuer } = rule;
  try {
    if (issuer.type === 'oidc') {
      const ok = await isSignedBy(token, await keys.of(issuer, token.keyId));
      return {
        what: 'signature',
        ok,
        detail: ok ? `by ${issuerUrlOf(issuer)}` : `no key of ${issuerUrlOf(issuer)} has signed it`,
      };
    }
    if (issuer.type === 'spiffe' && verifySvid) {
      await verifySvid(token.text, issuer.trustDomain, rule.audience ?? publicUrl);
      return { what: 'signature', ok: true, detail: `by ${issuer.trustDomain}` };
    }
  } catch (error) {
    return notSigned(error);
  }
  return { what: 'signature', ok: false, detail: 'such tokens cannot be verified here' };
}

async function examineAws(
  proof: Extract<OutsideProof, { aws: unknown }>,
  deps: ExamineDependencies,
): Promise<Examined> {
  const request = checkAwsRequest(proof.aws, deps.publicUrl, deps.now);
  const rules = [...deps.rules].filter(({ issuer }) => issuer.type === 'aws-iam');
  const answers = new Map<string, Promise<JsonObject>>();
  const examined: Examined['rules'] = [];
  let claims: JsonObject = {};
  for (const rule of rules) {
    const { issuer } = rule;
    if (issuer.type !== 'aws-iam') continue;
    if (!isForIssuer(request, issuer)) {
      const where = issuer.endpoint ?? 'an STS endpoint of AWS, https://sts.REGION.amazonaws.com/';
      examined.push({ rule, checks: [{ what: 'signature', ok: false, detail: `the request is not for ${where}` }] });
      continue;
    }
    const key = `${issuer.endpoint ?? ''} ${issuer.allowPrivateAddress}`;
    if (!answers.has(key))
      answers.set(
        key,
        deps.takeTurns(deps.from, () => askSts(deps.outbound, request, issuer)),
      );
    const checks = await awsChecks(rule, answers.get(key) as Promise<JsonObject>);
    if (checks.claims) claims = checks.claims;
    examined.push({ rule, checks: checks.list });
  }
  return {
    claims,
    id: request.id,
    credential: credentialOfAws(request),
    expiresAt: request.expiresAt,
    source: `aws ${shown(claims.arn)}`,
    rules: examined,
  };
}

async function awsChecks(
  rule: TrustRuleManifest,
  answer: Promise<JsonObject>,
): Promise<{ list: Check[]; claims?: JsonObject }> {
  try {
    const claims = await answer;
    const signature = { what: 'signature', ok: true, detail: `AWS says that it is ${shown(claims.arn)}` };
    return { claims, list: [signature, stateCheck(rule), ...conditionChecks(rule, claims)] };
  } catch (error) {
    return { list: [notSigned(error)] };
  }
}

/** INVARIANT: what could not be verified is not signed; that nobody could be asked is told apart, for it may pass. */
function notSigned(error: unknown): Check {
  if (!(error instanceof GatehouseError) || error.kind === 'internal') throw error;
  const isUnknown = error.kind === 'upstream' || error.kind === 'unavailable';
  return { what: 'signature', ok: false, detail: error.message, ...(isUnknown && { unknown: error }) };
}

/**
 * What a rule makes of a verified X.509-SVID. The handshake has proven the possession of its key, to us alone, so that of all claims there is `sub`, its
 * SPIFFE ID: a rule that asks for another lets only JWT-SVIDs in.
 */
export function examineX509(spiffeId: string, rules: Iterable<TrustRuleManifest>): Examined['rules'] {
  const from = [...rules].filter(
    ({ issuer }) => issuer.type === 'spiffe' && spiffeId.startsWith(`spiffe://${issuer.trustDomain}/`),
  );
  return from.map((rule) => ({ rule, checks: [stateCheck(rule), ...conditionChecks(rule, { sub: spiffeId })] }));
}

export const credentialOfAws = ({ headers }: Pick<CheckedAwsRequest, 'headers'>): string => headers.authorization ?? '';

const stateCheck = ({ state }: TrustRuleManifest): Check => ({
  what: 'rule',
  ok: state === 'active',
  detail: state === 'active' ? 'active' : 'the rule is suspended',
});

function conditionChecks({ claims: conditions }: TrustRuleManifest, claims: JsonObject): Check[] {
  return Object.entries(conditions).map(([name, condition]) => {
    const value = claimOf(claims, name);
    const ok = conditionHolds(condition, value);
    const wanted = JSON.stringify(condition);
    const other =
      typeof condition !== 'object' && String(value) === String(condition) ? ` (as ${typeof value}: write it so)` : '';
    const detail = ok
      ? shown(value)
      : value === undefined
        ? `there is no such claim; wanted ${wanted}`
        : `it is ${shown(value)}${other}; wanted ${wanted}`;
    return { what: `claim ${name}`, ok, detail };
  });
}

const SHOWN_CHARS = 200;

/** For people and records: bounded, in one line. */
export function shown(value: unknown): string {
  const text = (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'missing')).replace(/[^\x20-\x7e]/g, '?');
  return text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}...` : text;
}
