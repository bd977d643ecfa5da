import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Call, Way } from '../decide.ts';

const VERSION = '0.55.0';

/** Cerbos from npm with as many rules as there are policies: of the same kinds, in its own language. Installed into the user's cache at first. */
export async function startCerbos(count: number, calls: readonly Call[]): Promise<Way> {
  const binary = install();
  const directory = mkdtempSync(join(tmpdir(), 'cerbos-'));
  mkdirSync(join(directory, 'policies'));
  writePolicies(join(directory, 'policies'), count, calls);
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  writeFileSync(
    join(directory, 'config.yaml'),
    JSON.stringify({
      server: { httpListenAddr: `127.0.0.1:${port}`, grpcListenAddr: `127.0.0.1:${port + 1}` },
      telemetry: { disabled: true },
      audit: { enabled: false },
      storage: { driver: 'disk', disk: { directory: join(directory, 'policies'), watchForChanges: false } },
    }),
  );
  const child = spawn(binary, ['server', `--config=${join(directory, 'config.yaml')}`, '--log-level=error'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const keepAlive = new HttpAgent({ keepAlive: true, maxSockets: 1 });
  const post = (body: string) =>
    new Promise<string>((resolve, reject) => {
      const request = httpRequest(
        {
          host: '127.0.0.1',
          port,
          path: '/api/check/resources',
          method: 'POST',
          agent: keepAlive,
          headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        },
        (response) => {
          let text = '';
          response.on('data', (chunk) => (text += chunk));
          response.on('end', () => (response.statusCode === 200 ? resolve(text) : reject(new Error(text))));
        },
      );
      request.on('error', reject);
      request.end(body);
    });
  const bodies = calls.map(bodyOf);
  for (let tries = 0; ; tries++) {
    const answer = await post(bodies[0] ?? '').catch((error: unknown) => String(error));
    if (answer.includes('EFFECT_')) break;
    if (tries === 300 || child.exitCode !== null) throw new Error(`Cerbos does not answer: ${answer}`);
    await wait(200);
  }
  return {
    batch: 1_000,
    // utime and stime (proc(5)), in hundredths of a second.
    cpu() {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      return (Number(fields[11]) + Number(fields[12])) * 10_000;
    },
    async decide(times) {
      for (let at = 0; at < times; at++) await post(bodies[at & 63] ?? '');
    },
    async close() {
      keepAlive.destroy();
      child.kill();
      rmSync(directory, { recursive: true });
    },
  };
}

function install(): string {
  const directory = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'gatehouse', `cerbos-${VERSION}`);
  const binary = join(directory, 'node_modules', '@cerbos', 'cerbos-linux-x64', 'cerbos-linux-x64');
  if (!existsSync(binary)) {
    mkdirSync(directory, { recursive: true });
    console.error(`Installing Cerbos ${VERSION} (100 MB) into ${directory} …`);
    execFileSync('npm', ['install', '--prefix', directory, `@cerbos/cerbos-linux-x64@${VERSION}`], { stdio: 'ignore' });
  }
  return binary;
}

/** One resource policy for each tool that is called, and as many again as the number asks for. */
function writePolicies(directory: string, count: number, calls: readonly Call[]): void {
  const kinds = [...new Set(calls.map(kindOf))];
  const rulesEach = 20;
  for (let at = 0; kinds.length * rulesEach < count; at++) kinds.push(`other${at}`);
  const perKind = Math.max(1, Math.round(count / kinds.length));
  for (const kind of kinds) {
    const rules = [...Array(perKind).keys()].map((at) => ({
      actions: ['call'],
      effect: at % 10 === 9 ? 'EFFECT_DENY' : 'EFFECT_ALLOW',
      roles: [at === 0 ? 'agent' : `template${at}`],
      condition: {
        match: {
          expr: at % 10 === 9 ? `R.attr.amount > ${1000 + at}` : 'R.attr.customer == P.attr.customer',
        },
      },
    }));
    writeFileSync(
      join(directory, `${kind}.yaml`),
      JSON.stringify({
        apiVersion: 'api.cerbos.dev/v1',
        resourcePolicy: { version: 'default', resource: kind, rules },
      }),
    );
  }
}

const kindOf = ({ tool }: Call) => tool.replace('/', '_');

function bodyOf(call: Call): string {
  const { task, agent, template, blueprint, environment, risk, customer } = call;
  return JSON.stringify({
    principal: { id: task, roles: ['agent'], attr: { agent, template, blueprint, environment, risk, customer } },
    resources: [
      {
        actions: ['call'],
        resource: { kind: kindOf(call), id: call.tool, attr: { ...call.arguments, server: call.server } },
      },
    ],
  });
}
