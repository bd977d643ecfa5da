import type { HealthView, StatusView } from '@gatehouse/protocol';

type Known = Pick<StatusView, 'fresh' | 'troubles' | 'stuck' | 'unrevoked' | 'sinks' | 'record'>;
type Problem = HealthView['problems'][number];

/**
 * Whether this replica is well, from all that is known of it: every headline says what this says. `denying`: no call passes. `ailing`: calls pass,
 * and something needs somebody. What people have decided (a paused sink) or are only to remember (a secret that is due) is not an ailment.
 */
export function healthOf(known: Known): HealthView {
  const denying = denialsOf(known);
  const problems = [...denying, ...ailmentsOf(known)];
  return { state: denying.length > 0 ? 'denying' : problems.length > 0 ? 'ailing' : 'well', problems };
}

function denialsOf({ fresh, troubles, record }: Known): Problem[] {
  return [
    ...(fresh
      ? []
      : [problem('database', 'It is out of touch with its database, and denies everything until that is back', '/')]),
    ...troubles.map(({ what, problem: why }) =>
      problem(
        what === 'changes' ? 'database' : 'record',
        `${what === 'changes' ? 'Changes can’t be followed' : 'Nothing can be recorded'}, so that everything is denied${because(why)}`,
        '/',
      ),
    ),
    ...(record?.witnessing?.refuses
      ? [
          problem(
            'witnesses',
            'Too few witnesses have cosigned the record for too long, so that no call is sent',
            '/log',
          ),
        ]
      : []),
  ];
}

function ailmentsOf({ stuck, unrevoked, sinks, record }: Known): Problem[] {
  const { witnessing, publishing } = record ?? {};
  return [
    ...(record?.problem ? [problem('record', `The record: ${record.problem}`, '/log')] : []),
    ...(witnessing && !witnessing.refuses
      ? witnessing.witnesses.flatMap(({ name, problem: why }) =>
          why === null ? [] : [problem('witnesses', `The witness ${name} does not cosign: ${why}`, '/log')],
        )
      : []),
    ...(publishing?.problem ? [problem('publishing', `The log is not published: ${publishing.problem}`, '/log')] : []),
    ...(stuck ?? []).map(({ provider, count }) =>
      problem(
        'credentials',
        `${count} ${count === 1 ? 'credential' : 'credentials'} of ${provider} could not be ended, and may still work`,
        '/leases?state=stuck',
      ),
    ),
    ...(unrevoked ?? []).map(({ provider, count }) =>
      problem(
        'accounts',
        `${count} ${count === 1 ? 'account' : 'accounts'} at ${provider} could not be revoked there, and may still work`,
        '/accounts',
      ),
    ),
    ...(sinks ?? []).flatMap(({ name, state, problem: why }) =>
      state === 'paused'
        ? []
        : [
            problem(
              'sinks',
              `The sink ${name} is ${state === 'behind' ? 'behind' : 'failing'}${because(why)}`,
              '/sinks',
            ),
          ],
    ),
  ];
}

const problem = (what: Problem['what'], words: string, page: string): Problem => ({ what, words, page });
const because = (why: string | null) => (why === null ? '' : `: ${why}`);
