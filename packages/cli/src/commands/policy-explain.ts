import type { CallCredential, PolicyExplanation, SupposedCall } from '@gatehouse/protocol';
import { exitCodes } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { clean, type Output } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

export interface SupposedOptions extends ServerOptions {
  agent?: string;
  template?: string;
  param?: string[];
  user?: string;
  tool?: string;
  arg?: string[];
  situation?: string;
}

export const exitCodeOf = {
  allow: exitCodes.ok,
  deny: exitCodes.refused,
  'needs-approval': exitCodes.pending,
} as const;

/** Exit code 2 when it is refused, 3 when it would wait for a person. */
export const explain: Run<SupposedOptions> = async ({ args: [action], options, out }) => {
  if ((action === undefined) === (options.tool === undefined))
    throw new CliFailure(
      'usage',
      'explain.what',
      'Give the id of an action, or --template and --tool of a call that is only thought of.',
    );
  const body = action === undefined ? { call: callOf(options) } : { action };
  const answer = await operatorOf(options).call('POST /policy/explain', { body });
  if (out.json) out.printJson(answer);
  else print(answer, out);
  return exitCodeOf[answer.decision.effect];
};

export function callOf({ agent, template, param, user, tool = '', arg, situation }: SupposedOptions): SupposedCall {
  return {
    ...(agent !== undefined && { agent }),
    ...(template !== undefined && { template }),
    ...(user !== undefined && { user }),
    parameters: members(param, '--param') as NonNullable<SupposedCall['parameters']>,
    arguments: members(arg, '--arg'),
    tool,
    ...(situation !== undefined && {
      situation: parsed(situation, '--situation') as NonNullable<SupposedCall['situation']>,
    }),
  };
}

/** `name=value`: the value is JSON if it can be read as such, else the text itself; `name:=text` is always the text. */
export function members(given: readonly string[] | undefined, option: string): Record<string, unknown> {
  return Object.fromEntries(
    (given ?? []).map((each) => {
      const [, name, text, value = ''] = /^([^=:]+)(:)?=(.*)$/s.exec(each) ?? [];
      if (name === undefined)
        throw new CliFailure('usage', 'option.invalid', `${option} takes name=value, not "${each}".`);
      if (text) return [name, value];
      try {
        return [name, JSON.parse(value) as unknown];
      } catch {
        return [name, value];
      }
    }),
  );
}

function parsed(text: string, option: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CliFailure('usage', 'option.invalid', `${option} is no JSON: ${(error as Error).message}`);
  }
}

export const effectStyles = { allow: 'green', deny: 'red', 'needs-approval': 'yellow' } as const;

export const credentialWords = ({ provider, scope, problem }: CallCredential): string =>
  problem === null
    ? `a credential of ${provider}, ${JSON.stringify(scope)}`
    : `no credential of ${provider}: ${problem}`;

function print(
  { call, decision, recorded, sides, tier, credential, handOut, next }: PolicyExplanation,
  out: Output,
): void {
  out.print(
    `${out.style(effectStyles[decision.effect], decision.effect)}  ${clean(decision.code)}  tier ${decision.tier}  ${clean(call.tool)}`,
  );
  out.print(clean(decision.reason));
  if (recorded && recorded.policyVersion !== decision.policyVersion)
    out.print(
      `It was decided by other policies then: ${clean(`${recorded.effect} ${recorded.code}: ${recorded.reason}`)}`,
    );
  for (const { kind, name, policies } of sides) {
    out.print('');
    const heading = {
      task: `The task (agent ${name}, template ${call.template})`,
      'handed-on-by': `Handed on by ${name}`,
      user: `For ${name}`,
    }[kind];
    out.print(out.style('bold', clean(heading)));
    if (policies.length === 0) out.print('  no policy is about this');
    for (const policy of policies) {
      const raises = policy.effect === 'raise' ? `raises to tier ${policy.tier}` : `${policy.effect}s`;
      out.print(`  ${policy.applies ? raises : `${policy.effect}: does not apply`}  ${clean(policy.id)}`);
      for (const { words, holds, values, error } of policy.clauses) {
        const seen = Object.entries(values).map(
          ([path, value]) => `${path} = ${value === null ? 'not given' : JSON.stringify(value)}`,
        );
        const mark = holds === null ? '?  ' : holds ? 'yes' : 'NO ';
        out.print(
          `    ${mark} ${clean([words, seen.length > 0 ? `  (${seen.join(', ')})` : '', error ?? ''].join(' '))}`,
        );
      }
    }
  }
  out.print('');
  for (const { policy, tier: to, reason } of tier.raisedBy)
    out.print(
      `Tier ${tier.tool} of the tool is raised to ${to} by ${clean(policy)}${reason ? `: ${clean(reason)}` : ''}.`,
    );
  if (credential) out.print(`${handOut ? 'Handed to the agent' : 'Made with'}: ${clean(credentialWords(credential))}`);
  if (handOut) {
    const why = handOut.clamped.length > 0 ? ` (${handOut.clamped.join(', ')})` : '';
    out.print(clean(`For ${handOut.seconds} s${why}. ${handOut.residual}`));
  }
  for (const each of next) out.print(`→ ${clean(each)}`);
}
