import { type ClientManifest, COMMAND_LINE_CLIENT } from '@gatehouse/protocol';
import { keyProblem } from './keys.ts';
import { type ManifestProblem, problemOf } from './manifest-problem.ts';

export function checkClient(client: ClientManifest): ManifestProblem[] {
  const problem = problemOf(client);
  const problems = client.redirectUris.flatMap((uri, at) => {
    const wrong = redirectProblem(new URL(uri));
    return wrong ? [problem(`redirectUris[${at}]`, wrong)] : [];
  });
  if (client.name === COMMAND_LINE_CLIENT)
    problems.push(problem('name', 'This name is that of the command line tool. Choose another.'));
  for (const [at, key] of client.keys.entries()) {
    const wrong = keyProblem(key);
    if (wrong) problems.push(problem(`keys[${at}]`, `The key is refused: ${wrong}.`));
  }
  return problems;
}

/** RFC 9700 section 2.1 and RFC 8252 section 7: https, loopback over http, or a scheme that an application owns. */
function redirectProblem(uri: URL): string | undefined {
  if (uri.hash || uri.username || uri.password) return 'A redirect address has no fragment and no user in it.';
  if (uri.protocol === 'https:') return undefined;
  if (uri.protocol === 'http:')
    return ['localhost', '127.0.0.1', '[::1]'].includes(uri.hostname)
      ? undefined
      : 'http: is for loopback addresses only. Give an https: address.';
  return uri.protocol.includes('.')
    ? undefined
    : `"${uri.protocol}" is not a scheme that one application owns: use one with a dot in it (com.example.app:).`;
}
