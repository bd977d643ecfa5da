import { type GitLabProjectSource, type GitLabScope, gitlabLevels, type ProviderAbilities } from '@gatehouse/protocol';
import { GatehouseError, isJsonObject, type JsonObject, Secret } from '../../platform/index.ts';
import { type Left, type Made, NotMade, type Order, type Provider } from '../leases/types.ts';
import type { ProviderTools } from './index.ts';
import { createRestApi, failureFor, type RestAnswer, said } from './rest-api.ts';

/** A clone that is under way when its token ends goes on to its end. */
const ABILITIES: ProviderAbilities = {
  ...{ canNarrow: true, canRevoke: true, canEndSessions: false, maxResidualSeconds: 0 },
  pastItsTimeSeconds: 86_400,
};
const DAY_MS = 86_400_000;
/** A project with more tokens than this has another problem. */
const MOST_PAGES = 50;

/**
 * Project access tokens of GitLab, named by their leases, so that one that was half made is found. GitLab knows an end by the day only: what
 * Gatehouse does not end ends by itself at the next midnight (UTC).
 */
export function openGitLabProjectProvider(
  settings: GitLabProjectSource,
  { clock, outbound, openSecret }: Pick<ProviderTools, 'clock' | 'outbound' | 'openSecret'>,
): Provider {
  const api = createRestApi(
    {
      name: 'GitLab',
      base: `${settings.url.replace(/\/+$/, '')}/api/v4`,
      allowPrivateAddress: settings.allowPrivateAddress,
      ca: settings.ca,
      isOwn: isOfGitLab,
      headers: (token) => ({ accept: 'application/json', authorization: `Bearer ${token}` }),
    },
    { clock, outbound },
  );
  const project = `/projects/${encodeURIComponent(settings.project)}`;
  const ownToken = () => openSecret(settings.secret, settings.url);

  async function end(id: number, token: Secret, signal: AbortSignal): Promise<void> {
    const path = `${project}/access_tokens/${id}`;
    const ended = await api.call('DELETE', path, token, { signal });
    if (ended.status !== 204 && ended.status !== 404 && ended.status !== 400) throw refusal(ended, 'ended no token');
    const seen = await api.call('GET', path, token, { signal });
    if (seen.status === 404 && isNotFound(seen)) return;
    if (seen.status === 200 && isJsonObject(seen.body) && seen.body.active === false) return;
    throw refusal(seen, 'still has the token');
  }

  async function find(name: string, token: Secret, signal: AbortSignal): Promise<number[]> {
    const found: number[] = [];
    for (let page = '1', seen = 0; page !== ''; seen++) {
      if (seen >= MOST_PAGES) throw new Error(`the project has more than ${MOST_PAGES * 100} active tokens`);
      const query = new URLSearchParams({ state: 'active', search: name, per_page: '100', page });
      const answer = await api.call('GET', `${project}/access_tokens?${query}`, token, { signal });
      if (answer.status !== 200 || !Array.isArray(answer.body)) throw refusal(answer, 'lists no tokens');
      for (const each of answer.body)
        if (isJsonObject(each) && each.name === name && each.active !== false) found.push(Number(each.id));
      page = answer.headers['x-next-page'] ?? '';
    }
    return found;
  }

  return {
    abilities: ABILITIES,
    findsByName: true,
    worksUntil: midnightAfter,

    async create({ name, scope, expiresAt }: Order, signal): Promise<Made> {
      const wanted = scope as unknown as Required<GitLabScope>;
      const own = await ownToken();
      const answer = await api.call('POST', `${project}/access_tokens`, own, {
        body: {
          name,
          scopes: wanted.scopes,
          access_level: gitlabLevels[wanted.accessLevel],
          expires_at: new Date(midnightAfter(expiresAt)).toISOString().slice(0, 10),
        },
        signal,
      });
      if (answer.status >= 400 && answer.status < 500) throw refusal(answer, 'issued no token');
      const { body } = answer;
      if (answer.status !== 201 || !isJsonObject(body) || typeof body.token !== 'string' || !Number.isInteger(body.id))
        throw new GatehouseError('upstream', 'provider.answer', `GitLab’s answer was not a token (${answer.status}).`);
      const id = body.id as number;
      const more = beyond(body, wanted);
      if (more !== undefined) {
        const beyondAsked = `GitLab issued a token that can do more than was asked for (${more}). It was given to nobody`;
        await end(id, own, signal).catch((cause) => {
          throw new GatehouseError('upstream', 'provider.beyond', `${beyondAsked}, and could not be ended yet.`, {
            cause,
          });
        });
        throw new NotMade('upstream', 'provider.beyond', `${beyondAsked}, and is ended.`);
      }
      return { credential: { token: new Secret(body.token) }, revocation: { id } };
    },

    async revoke({ name, revocation }: Left, signal) {
      const own = await ownToken();
      const known = isJsonObject(revocation) && Number.isInteger(revocation.id) ? [revocation.id as number] : undefined;
      for (const id of known ?? (await find(name, own, signal))) await end(id, own, signal);
    },

    async check(signal) {
      const answer = await api.call('GET', `${project}/access_tokens?per_page=1`, await ownToken(), { signal });
      if (answer.status !== 200) throw refusal(answer, 'shows no tokens of this project');
    },

    close: async () => undefined,
  };
}

const midnightAfter = (at: number): number => Math.ceil(at / DAY_MS) * DAY_MS;

function refusal(answer: RestAnswer, what: string): GatehouseError {
  const Failure = failureFor(answer, isOfGitLab);
  return new Failure(
    'upstream',
    'provider.refused',
    `GitLab ${what} (${answer.status}${said(answer) && `: ${said(answer)}`}).${hints[answer.status] ?? ''}`,
  );
}

const hints: Record<number, string> = {
  401: ' Has the stored token run out?',
  403: ' Is the stored token one of a maintainer, with the scope `api`?',
  404: ' Is there such a project, and may the stored token see it?',
};

/** Not what stands between: GitLab says in JSON what it did not find. */
const isNotFound = ({ body }: RestAnswer) => isJsonObject(body) && /not found/i.test(String(body.message));

/** Its messages begin with the status; what it says of parameters and tokens stands in `error`. */
function isOfGitLab({ status, body }: RestAnswer): boolean {
  if (!isJsonObject(body)) return false;
  const { message, error, error_description: description } = body;
  if (typeof error === 'string') return status === 400 || typeof description === 'string';
  return typeof message === 'string' && message.startsWith(`${status} `);
}

function beyond(body: JsonObject, wanted: Required<GitLabScope>): string | undefined {
  const { scopes, access_level: level } = body;
  if (!Array.isArray(scopes) || typeof level !== 'number') return 'it does not say what it may do';
  const foreign = scopes.find((each) => typeof each !== 'string' || !wanted.scopes.includes(each));
  if (foreign !== undefined) return `scope ${String(foreign).slice(0, 60)}`;
  return level > gitlabLevels[wanted.accessLevel] ? `access level ${level}` : undefined;
}
