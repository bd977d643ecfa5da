import { type SecondYesAct, type SecondYesStatement, secondYesBodies } from '@gatehouse/protocol';
import type { SecondYes } from '../../identity/index.ts';
import type { Json } from '../../platform/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type ApiCaller, type Route, route } from '../route.ts';
import { personOf } from './session.ts';

type Needs = Pick<ApiDependencies, 'people' | 'credentials' | 'keeping' | 'retention'>;

/** What somebody has asked for, as it stands now. */
const askedFor = ({ credentials, keeping, retention }: Needs): Record<SecondYesAct, Asked> => ({
  'lease.drop': credentials.leases.askedDrop,
  'hold.end': keeping.askedEnd,
  'erasure.agree': keeping.asked,
  'retention.agree': retention.asked,
});
type Asked = (id: string) => Promise<SecondYesStatement>;

export function secondYesRoutes(deps: ApiDependencies): Route[] {
  return [
    route(
      'POST /second-yes/options',
      'erase',
      'Begin to agree, with a passkey, to exactly what somebody else has asked for',
      { body: secondYesBodies.options },
      async ({ caller, body }) => {
        const { email } = personOf(caller);
        const statement = await askedFor(deps)[body.act](body.id);
        return { statement, ...(await deps.people.secondYes.options(email, statement)) };
      },
    ),
  ];
}

/** The yes of whoever calls to what the body's passkey has signed; it counts once it is said to what is done. */
export async function secondYesOf(
  deps: Needs,
  { caller, body }: { caller: ApiCaller; body: { nonce: string; assertion: Record<string, unknown> } },
  { act, id }: { act: SecondYesAct; id: string },
): Promise<SecondYes> {
  const { email } = personOf(caller);
  const answer = { nonce: body.nonce, assertion: body.assertion as Json };
  return deps.people.secondYes.said(email, await askedFor(deps)[act](id), answer);
}
