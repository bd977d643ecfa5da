import { createPrivateKey } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  beyondGitHub,
  type GitHubAppSource,
  type GitHubPermissions,
  type GitHubScope,
  type ProviderAbilities,
} from '@gatehouse/protocol';
import { SignJWT } from 'jose';
import { GatehouseError, isJsonObject, type Json, type JsonObject, Secret } from '../../platform/index.ts';
import { type Left, type Made, NotMade, type Order, type Provider, type Remaining } from '../leases/types.ts';
import type { ProviderTools } from './index.ts';
import { createRestApi, failureFor, type RestAnswer, said } from './rest-api.ts';

/** A clone that is under way when its token ends goes on to its end: GitHub looks at a token once for each request. */
const ABILITIES: ProviderAbilities = {
  ...{ canNarrow: true, canRevoke: true, canEndSessions: false, maxResidualSeconds: 0 },
  pastItsTimeSeconds: 3_600,
};
/** GitHub gives each token an hour, whatever is asked for. */
const TOKEN_LIVES_MS = 60 * 60_000;
/** Between two clocks. */
const SKEW_MS = 60_000;
const POLL_MS = 100;

/**
 * Installation tokens of a GitHub App, each for the repositories and permissions of its lease. What GitHub answers is compared with what was
 * asked: a token that can do more is ended and not used. Tokens have no name there and are in no list, so that nobody finds one whose answer
 * was lost: it counts as what remains until its hour is over, and nobody has it.
 */
export function openGitHubAppProvider(
  settings: GitHubAppSource,
  { clock, outbound, openSecret }: Pick<ProviderTools, 'clock' | 'outbound' | 'openSecret'>,
): Provider {
  const api = createRestApi(
    {
      name: 'GitHub',
      base: settings.url.replace(/\/+$/, ''),
      allowPrivateAddress: settings.allowPrivateAddress,
      ca: settings.ca,
      isOwn: isOfGitHub,
      headers: (token) => ({
        accept: 'application/vnd.github+json',
        authorization: `Bearer ${token}`,
        'x-github-api-version': '2022-11-28',
      }),
      limitOf: (path) => (path.startsWith('/app/') ? 'app' : 'installation'),
    },
    { clock, outbound },
  );
  const installation = `/app/installations/${settings.installation}`;

  async function appToken(): Promise<Secret> {
    const pem = await openSecret(settings.secret, settings.url);
    const seconds = Math.floor(clock.now() / 1_000);
    try {
      const signed = await new SignJWT()
        .setProtectedHeader({ alg: 'RS256', typ: 'JWT' })
        .setIssuer(settings.app)
        .setIssuedAt(seconds - 60)
        .setExpirationTime(seconds + 9 * 60)
        .sign(createPrivateKey(pem.reveal()));
      return new Secret(signed);
    } catch {
      throw new NotMade(
        'forbidden',
        'provider.key',
        `The secret "${settings.secret}" is not an RSA private key (PEM), as GitHub gives one for an App.`,
      );
    }
  }

  /** Ended, and seen to be refused. Also where it had ended before. */
  async function endToken(token: Secret, signal: AbortSignal): Promise<void> {
    const ended = await api.call('DELETE', '/installation/token', token, { signal });
    if (ended.status !== 204 && !tokenHasEnded(ended)) throw refusal(ended, 'ended no token');
    for (;;) {
      const seen = await api.call('GET', '/installation/repositories?per_page=1', token, { signal });
      if (tokenHasEnded(seen)) return;
      if (seen.status !== 200) throw refusal(seen, 'did not say whether a token has ended');
      await delay(POLL_MS, undefined, { signal });
    }
  }

  function refusal(answer: RestAnswer, what: string): GatehouseError {
    const words = said(answer);
    const Failure = failureFor(answer, isOfGitHub);
    return new Failure(
      answer.status === 429 ? 'too-many' : 'upstream',
      'provider.refused',
      `GitHub ${what} (${answer.status}${words && `: ${words}`}).${hints[answer.status] ?? ''}`,
    );
  }

  /** Why this token is not what was asked for; undefined where it is no more than that. */
  function beyond(body: JsonObject, scope: Required<GitHubScope>): string | undefined {
    const { permissions, repositories, repository_selection: selection } = body;
    if (selection !== 'selected' || !Array.isArray(repositories)) return 'it is not narrowed to repositories';
    const asked = new Set(scope.repositories.map((each) => `${settings.owner}/${each}`.toLowerCase()));
    for (const each of repositories) {
      const full =
        isJsonObject(each) && typeof each.full_name === 'string' ? each.full_name : 'a repository without a name';
      if (!asked.has(full.toLowerCase())) return `it reaches ${full.slice(0, 200)}`;
    }
    if (!isJsonObject(permissions)) return 'it does not say what it may do';
    const more = beyondGitHub(permissions as GitHubPermissions, scope.permissions);
    return more && `it may do ${more.slice(0, 100)}`;
  }

  return {
    abilities: ABILITIES,

    worksUntil: (expiresAt) => Math.max(expiresAt, clock.now() + TOKEN_LIVES_MS + SKEW_MS),

    async create({ scope }: Order, signal): Promise<Made> {
      const wanted = scope as unknown as Required<GitHubScope>;
      const answer = await api.call('POST', `${installation}/access_tokens`, await appToken(), {
        body: { repositories: wanted.repositories, permissions: wanted.permissions },
        signal,
      });
      if (answer.status >= 400 && answer.status < 500) throw refusal(answer, 'issued no token');
      const { body } = answer;
      if (answer.status !== 201 || !isJsonObject(body) || typeof body.token !== 'string' || body.token === '')
        // Something between here and GitHub may have lost the answer: whether there is a token is not known.
        throw new GatehouseError('upstream', 'provider.answer', `GitHub’s answer was not a token (${answer.status}).`);
      const token = new Secret(body.token);
      const more = beyond(body, wanted);
      if (more !== undefined) {
        const beyondAsked = `GitHub issued a token that can do more than was asked for (${more}). It was given to nobody`;
        await endToken(token, signal).catch((cause) => {
          throw new GatehouseError('upstream', 'provider.beyond', `${beyondAsked}, and could not be ended.`, { cause });
        });
        throw new NotMade('upstream', 'provider.beyond', `${beyondAsked}, and is ended.`);
      }
      const end = Date.parse(String(body.expires_at));
      return {
        credential: { token },
        revocation: { token: body.token },
        ...(!Number.isNaN(end) && { expiresAt: end }),
      };
    },

    async revoke({ revocation, makingUntil }: Left, signal): Promise<Remaining | undefined> {
      if (isJsonObject(revocation) && typeof revocation.token === 'string') {
        await endToken(new Secret(revocation.token), signal);
        return undefined;
      }
      const until = makingUntil + TOKEN_LIVES_MS + SKEW_MS;
      if (clock.now() >= until) return undefined;
      return {
        until,
        why: 'GitHub’s answer was lost. If it made a token nobody has it, and GitHub ends it an hour after it was made at the latest: there is no way to find or end it sooner.',
      };
    },

    async check(signal) {
      const answer = await api.call('GET', installation, await appToken(), { signal });
      if (answer.status !== 200 || !isJsonObject(answer.body)) throw refusal(answer, 'shows no such installation');
      const { account, permissions, suspended_at: suspended } = answer.body;
      const login = isJsonObject(account) && typeof account.login === 'string' ? account.login : '';
      const problem = problemOf(settings, login, permissions, suspended);
      if (problem) throw new GatehouseError('upstream', 'provider.rights', problem);
    },

    close: async () => undefined,
  };
}

const isOfGitHub = ({ body }: RestAnswer): boolean =>
  isJsonObject(body) && typeof body.message === 'string' && typeof body.documentation_url === 'string';

/** 401 in GitHub's own words: a token that has ended or never was. What stands between may answer 401 for reasons of its own. */
const tokenHasEnded = ({ status, body }: RestAnswer): boolean =>
  status === 401 && isJsonObject(body) && body.message === 'Bad credentials';

const hints: Record<number, string> = {
  401: ' Is the private key the App’s, and this machine’s clock right?',
  404: ' Is this the number of an installation of this App, and is it installed there?',
  422: ' The installation has not all repositories or permissions that the provider is declared with: its owner can add them.',
};

function problemOf(
  { owner, permissions: declared, installation }: GitHubAppSource,
  login: string,
  permissions: Json | undefined,
  suspended: Json | undefined,
): string | undefined {
  if (login.toLowerCase() !== owner.toLowerCase())
    return `Installation ${installation} is at "${login.slice(0, 100)}" and not at "${owner}".`;
  if (typeof suspended === 'string') return `Installation ${installation} is suspended at GitHub.`;
  const missing = isJsonObject(permissions) ? beyondGitHub(declared, permissions as GitHubPermissions) : undefined;
  return missing && `The installation has no ${missing}. Its owner can grant it at GitHub.`;
}
