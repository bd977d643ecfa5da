import { timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

interface CreateOptions extends ServerOptions {
  ttl: string;
  from?: string[];
}

/** The token is printed once, and nothing else to standard output: it goes into a file or another machine's standard input. */
export const createJoinToken: Run<CreateOptions> = async ({ args: [name = ''], options, out }) => {
  const ttlSeconds = toNumber(options.ttl, '--ttl', 1, 1_440) * 60;
  const made = await operatorOf(options).call('POST /agents/:name/join-tokens', {
    params: { name },
    body: { ttlSeconds, addresses: options.from ?? [] },
  });
  if (out.json) return out.printJson(made);
  out.print(made.token);
  out.note(`Good once, until ${timeOf(made.expiresAt)}: gatehouse agent enroll ${name} --join-token FILE`);
};
