import { once } from 'node:events';
import { chmodSync, mkdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { configDirectory } from '../agent-key-file.ts';
import { createGate } from '../bridge/gate.ts';
import { type HelperKind, helperKinds, helperName, helperScript } from '../credentials/helpers.ts';
import { CliFailure } from '../failure.ts';
import { clean } from '../output.ts';
import { credentialOf, readTaskOptions, type TaskOptions } from '../task-options.ts';
import { type Run, toNumber } from '../verb.ts';

/** Nobody waits longer for the end of a task than this. */
const END_TIMEOUT_MS = 3_000;

const socketOf = ({ socket }: { socket?: string }) =>
  resolve(socket ?? process.env.GATEHOUSE_CREDENTIALS_SOCKET ?? join(configDirectory(), 'run', 'credentials.sock'));

export const serveCredentials: Run<TaskOptions & { socket?: string; http?: string | true }> = async ({
  options,
  out,
}) => {
  const setup = readTaskOptions(options, 'clients that fetch their own credentials');
  const path = socketOf(options);
  const port =
    options.http === undefined ? undefined : options.http === true ? 0 : toNumber(options.http, '--http', 0, 65_535);
  const [{ createBroker }, { serveClients }, { createClients }, { prepareSocket }] = await Promise.all([
    import('../credentials/broker.ts'),
    import('../credentials/local-server.ts'),
    import('../credentials/clients/index.ts'),
    import('../spiffe/socket.ts'),
  ]);
  await prepareSocket(path);
  const note = (text: string) => out.note(`gatehouse credentials: ${clean(text)}`);
  const gate = createGate({ ...setup, credential: await credentialOf(setup), note });
  // Before anybody is served: an agent that gets no task serves nothing.
  await gate.task();
  const server = await serveClients(createClients(), createBroker(gate), {
    socket: path,
    ...(port !== undefined && { port }),
    note,
  });
  const tokenFile = `${path}.token`;
  const { url } = server;
  if (url !== undefined) {
    rmSync(tokenFile, { force: true });
    writeFileSync(tokenFile, server.token, { mode: 0o600, flag: 'wx' });
  }
  if (out.json) out.printJson({ socket: path, ...(url && { url, tokenFile }) }, { line: true });
  else {
    out.print(`Serving credentials at ${path}`);
    if (url) out.print(`and at ${url}, with the token in ${tokenFile}`);
  }
  const keep = setInterval(() => undefined, 60_000);
  await Promise.race((['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((signal) => once(process, signal)));
  clearInterval(keep);
  server.close();
  rmSync(tokenFile, { force: true });
  try {
    unlinkSync(path);
  } catch {
    // The listener has removed it already.
  }
  // Its credentials end with it.
  await Promise.race([
    gate
      .end()
      .catch((error: unknown) => note(`the task was not ended: ${error instanceof Error ? error.message : error}`)),
    new Promise((done) => setTimeout(done, END_TIMEOUT_MS)),
  ]);
  process.stdout.write('', () => process.exit(0));
};

interface InstallOptions {
  provider: string;
  socket?: string;
  directory: string;
  host?: string[];
  perRepository?: boolean;
  cluster?: string;
}

export const installHelper: Run<InstallOptions> = async ({ args: [given = ''], options, out }) => {
  const kind = helperKinds.find((each) => each === given);
  if (!kind)
    throw new CliFailure(
      'usage',
      'helper.unknown',
      `There are helpers for ${helperKinds.join(', ')}, and none for "${given}".`,
    );
  const { provider, host: hosts = [], perRepository: narrow = false, cluster: server } = options;
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(provider))
    throw new CliFailure(
      'usage',
      'option.invalid',
      `--provider is the name of a credential provider, not "${provider}".`,
    );
  if ((kind === 'git' || kind === 'docker') && hosts.length === 0)
    throw new CliFailure('usage', 'option.missing', `--host is missing: ${kind} sends the credential nowhere else.`);
  const directory = resolve(options.directory);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, helperName(kind, provider));
  writeFileSync(path, helperScript(kind, { socket: socketOf(options), provider, hosts, narrow, server }));
  chmodSync(path, 0o700);
  const setUp = setUpOf(kind, path, { provider, hosts, narrow });
  if (out.json) return out.printJson({ helper: path, setUp });
  out.print(path);
  out.print('');
  for (const line of setUp) out.print(line);
};

/** What the client has to be told, as its own commands or files have it. */
function setUpOf(
  kind: HelperKind,
  path: string,
  { provider, hosts, narrow }: { provider: string; hosts: string[]; narrow: boolean },
): string[] {
  switch (kind) {
    case 'git':
      return hosts.flatMap((host) => [
        `git config --global credential.https://${host}.helper '${path}'`,
        ...(narrow ? [`git config --global credential.https://${host}.useHttpPath true`] : []),
      ]);
    case 'docker':
      return [
        `In ~/.docker/config.json, with ${dirname(path)} on the PATH:`,
        JSON.stringify({ credHelpers: Object.fromEntries(hosts.map((host) => [host, `gatehouse-${provider}`])) }),
      ];
    case 'kubectl':
      return [
        `kubectl config set-credentials gatehouse-${provider} --exec-api-version=client.authentication.k8s.io/v1 --exec-interactive-mode=Never --exec-provide-cluster-info=true --exec-command='${path}'`,
      ];
    case 'aws':
      return ['In ~/.aws/config:', `[profile gatehouse-${provider}]`, `credential_process = "${path}"`];
    case 'gcp':
      return [
        'With GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1, in the external_account file (URL is that of `gatehouse credentials serve --http`):',
        JSON.stringify({
          type: 'external_account',
          audience: `//gatehouse/${provider}`,
          subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
          token_url: `URL/gcp/${provider}/token`,
          token_info_url: `URL/gcp/${provider}/introspect`,
          credential_source: { executable: { command: path, timeout_millis: 30_000 } },
        }),
      ];
  }
}
