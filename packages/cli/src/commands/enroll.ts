import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { AgentKey } from '@gatehouse/sdk/agent-key';
import type { EnrolmentProof } from '@gatehouse/sdk/enrol';
import { keyFileOf, readKey } from '../agent-key-file.ts';
import { CliFailure } from '../failure.ts';
import { operatorOf, type ServerOptions, trustOf, urlOf } from '../server-address.ts';
import type { Run, Verb } from '../verb.ts';

interface Options extends ServerOptions {
  keyFile?: string;
  keyring?: boolean;
  joinToken?: string;
  oidcToken?: string;
  github?: boolean;
  gitlab?: boolean;
  kubernetes?: boolean;
  tokenFile?: string;
  gcp?: boolean;
  azure?: boolean;
  aws?: boolean;
}

/** A key, and where it is kept; null: in the keyring. */
interface Kept {
  key: AgentKey;
  isNew: boolean;
  keyFile: string | null;
}

/** A proof that stands for the agent, or the operator's word. */
export const enroll: Run<Options> = async (verb) => {
  const proof = await proofOf(verb.options);
  return proof ? byProof(verb, proof) : byOperator(verb);
};

async function byProof({ args: [name = ''], options, out }: Verb<Options>, proof: EnrolmentProof): Promise<void> {
  const { enrolAgent } = await import('@gatehouse/sdk/enrol');
  const { key, isNew, keyFile } = await keyOf(name, options);
  const { agent, spiffe_id: spiffeId } = await enrolAgent({
    url: urlOf(options),
    agent: name,
    key,
    proof,
    ...trustOf(options),
  });
  const { thumbprint } = key;
  if (out.json) return out.printJson({ agent, spiffeId, keyFile, thumbprint, created: isNew, registered: true });
  out.print(`${isNew ? 'A new key was made' : 'The key that was there is used'}: ${keyFile ?? 'in the keyring'}`);
  out.print(`${agent} has it now (${thumbprint}).`);
  next(out, agent, keyFile);
}

async function byOperator({ args: [name = ''], options, out }: Verb<Options>): Promise<void> {
  const operator = operatorOf(options);
  // Asked first, so that a wrong name leaves no key behind.
  const before = await operator.call('GET /agents/:name', { params: { name } });
  const { key, isNew, keyFile } = await keyOf(name, options);
  const { publicJwk, thumbprint } = key;
  const known = before.manifest.keys.some((each) => 'y' in each && each.x === publicJwk.x && each.y === publicJwk.y);
  const agent = known
    ? before
    : await operator.call('POST /agents/:name/keys', { params: { name }, body: { key: publicJwk } });
  if (out.json) return out.printJson({ agent: agent.name, keyFile, thumbprint, created: isNew, registered: !known });
  out.print(`${isNew ? 'A new key was made' : 'The key that was there is used'}: ${keyFile ?? 'in the keyring'}`);
  out.print(
    known
      ? `${agent.name} had it already.`
      : `${agent.name} has it${agent.manifest.keys.length > 1 ? `, as one of its ${agent.manifest.keys.length} keys` : ''} (${thumbprint}).`,
  );
  next(out, agent.name, keyFile);
}

function next(out: Verb<Options>['out'], agent: string, keyFile: string | null): void {
  const identity = keyFile === null ? ' --identity keyring' : '';
  out.note(`Next: gatehouse mcp --agent ${agent}${identity} --template TEMPLATE, as the command of an MCP client.`);
}

async function keyOf(name: string, { keyFile: given, keyring }: Options): Promise<Kept> {
  if (keyring) {
    const { keyringKey } = await import('../keyring.ts');
    return { ...(await keyringKey(name)), keyFile: null };
  }
  const keyFile = keyFileOf(name, given);
  if (existsSync(keyFile)) return { key: await readKey(name, keyFile), isNew: false, keyFile };
  const { generateAgentKey } = await import('@gatehouse/sdk/agent-key');
  return { key: await generateAgentKey(keyFile), isNew: true, keyFile };
}

/** Undefined: none was named, and the operator vouches. */
async function proofOf(options: Options): Promise<EnrolmentProof | undefined> {
  const kinds = ['joinToken', 'oidcToken', 'github', 'gitlab', 'kubernetes', 'gcp', 'azure', 'aws'] as const;
  const given = kinds.filter((kind) => options[kind] !== undefined);
  if (given.length > 1)
    throw new CliFailure('usage', 'enroll.two-proofs', 'Name one proof: an agent is enrolled by one.');
  const [kind] = given;
  if (kind === undefined) return undefined;
  if (kind === 'joinToken') return { joinToken: await secretOf(options.joinToken ?? '', '--join-token') };
  if (kind === 'aws') return { aws: process.env };
  const sdk = await import('@gatehouse/sdk/credentials');
  if (kind === 'oidcToken') {
    const token = await secretOf(options.oidcToken ?? '', '--oidc-token');
    return { token: async () => token };
  }
  const sources = {
    github: sdk.githubToken,
    gitlab: sdk.gitlabToken,
    kubernetes: () => sdk.kubernetesToken(options.tokenFile),
    gcp: sdk.gcpToken,
    azure: sdk.azureToken,
  };
  return { token: sources[kind]() };
}

const codeOf = (cause: unknown) => {
  const { code } = cause as { code?: unknown };
  return typeof code === 'string' ? ` (${code})` : '';
};

/** From a file or standard input, and never from the command line, which everybody on the machine can read. */
async function secretOf(where: string, flag: string): Promise<string> {
  let text = '';
  try {
    if (where === '-') for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk;
    else text = await readFile(where, 'utf8');
  } catch (cause) {
    throw new CliFailure(
      'noInput',
      'enroll.no-token',
      // What was given may be the token itself, by mistake: it is not said again.
      `${flag} names the file that the token is in, or - for standard input; what it names cannot be read${codeOf(cause)}. If you gave the token itself, take it for known: revoke it, and make another.`,
      { cause },
    );
  }
  if (text.trim() !== '') return text.trim();
  throw new CliFailure('noInput', 'enroll.no-token', `There is no token in what ${flag} names.`);
}
