import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';
import { CliFailure } from '../failure.ts';
import { clean, timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

export const listTrust: Run<ServerOptions> = async ({ options, out }) => {
  const { items } = await operatorOf(options).call('GET /trust-rules');
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('There are none: nobody is let in by what others vouch for.');
  out.table(
    ['RULE', 'STATE', 'ISSUER', 'STANDS FOR', 'FINDINGS', 'USES', 'LAST USED'],
    items.map(({ manifest, findings, uses, lastUsedAt }) => [
      manifest.name,
      manifest.state,
      issuerOf(manifest.issuer),
      manifest.agent ?? `workload ${manifest.workload}`,
      String(findings.length),
      String(uses),
      timeOf(lastUsedAt) ?? 'never',
    ]),
  );
};

function issuerOf(issuer: { type: string; url?: string; preset?: string; trustDomain?: string; endpoint?: string }) {
  return issuer.url ?? issuer.preset ?? issuer.trustDomain ?? issuer.endpoint ?? issuer.type;
}

/** Exit code 1 when there is something to look at, so that a pipeline can stop there. */
export const lintTrust: Run<ServerOptions> = async ({ options, out }) => {
  const { items } = await operatorOf(options).call('GET /trust-rules');
  const findings = items.flatMap((each) => each.findings);
  if (out.json) out.printJson({ findings });
  else if (findings.length === 0) out.print(`Trust rules: ${items.length}. Nothing in them is unwise.`);
  else
    out.table(
      ['RULE', 'FINDING', 'WHAT TO DO'],
      findings.map(({ rule, code, message }) => [rule, code, message]),
    );
  return findings.length === 0 ? 0 : 1;
};

/** Exit code 1 when the token is refused. The token itself is never printed. */
export const testTrust: Run<ServerOptions & { token: string }> = async ({ options, out }) => {
  const token = (await readToken(options.token)).trim();
  const answer = await operatorOf(options).call('POST /trust-rules/test', { body: { token } });
  const code = answer.match === null ? 1 : 0;
  if (out.json) {
    out.printJson(answer);
    return code;
  }
  for (const { rule, matches, checks } of answer.rules) {
    out.print(`${clean(rule)}: ${matches ? 'matches' : 'does not match'}`);
    for (const { what, ok, detail } of checks) out.print(`  ${ok ? 'yes' : 'NO '}  ${clean(what)}: ${clean(detail)}`);
  }
  if (answer.match === null) out.print(clean(answer.problem ?? 'It is refused.'));
  else
    out.print(
      `It stands for ${answer.match.agent ?? `the workload ${answer.match.workload}`}, by the rule ${answer.match.rule}.`,
    );
  return code;
};

async function readToken(from: string): Promise<string> {
  if (from === '-') return readAll(process.stdin);
  return readFile(from, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CliFailure('noInput', 'file.unreadable', `${from} cannot be read (${cause.code}).`, { cause });
  });
}
