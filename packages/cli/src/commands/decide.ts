import { CliFailure } from '../failure.ts';
import { clean } from '../output.ts';
import { operatorOf } from '../server-address.ts';
import type { Run } from '../verb.ts';
import { callOf, effectStyles, exitCodeOf, members, type SupposedOptions } from './policy-explain.ts';

interface Options extends SupposedOptions {
  task?: string;
}

/** Exit code 0 when it would run, 2 when it is refused, 3 when it would wait for a person. */
export const decide: Run<Options> = async ({ options, out }) => {
  const { task, template, tool, arg } = options;
  if (tool === undefined)
    throw new CliFailure(
      'usage',
      'decide.what',
      'Give --tool SERVER/TOOL: what is called. Or PROVIDER#credential: what the task is handed itself.',
    );
  if ((task === undefined) === (template === undefined))
    throw new CliFailure(
      'usage',
      'decide.who',
      'Give --task of one that runs (`gatehouse tasks` lists them), or --template of one that is only thought of.',
    );
  const operator = operatorOf(options);
  const { call, decision } =
    task === undefined
      ? await operator.call('POST /policy/explain', { body: { call: callOf(options) } })
      : await operator.call('POST /decide', { body: { task, tool, arguments: members(arg, '--arg') } });
  if (out.json) out.printJson({ call, decision });
  else {
    const { effect, code, reason, tier, policies } = decision;
    out.print(`${out.style(effectStyles[effect], effect)}  ${clean(code)}  tier ${tier}  ${clean(call.tool)}`);
    out.print(clean(reason));
    if (policies.length > 0) out.print(`by ${clean(policies.join(', '))}`);
  }
  return exitCodeOf[decision.effect];
};
