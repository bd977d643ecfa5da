import { execFile } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { type AuthorizationResult, runAuthorizationSuite } from './authorization-suite.ts';
import { type ClientResult, type ClientScenario, clientScenarios, startClientSuite } from './client-suite.ts';
import { startFixture } from './fixture/server.ts';
import { startGateBefore } from './through-gate.ts';

/**
 * `npm run conformance`: the official MCP suite against the fixture directly and through the gate, in both eras, compared check by
 * check (C1), its client scenarios against the gate's client side, authorization included, and its authorization scenarios against the
 * authorization server (C2). Ends with exit code 1 if any check is lost or fails. `--only server|client|authorization` runs one of them;
 * `--write` updates conformance/RESULTS.md after all.
 */
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});
const suite = fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/dist/index.js'));
const suiteVersion = (
  JSON.parse(readFileSync(join(dirname(suite), '..', 'package.json'), 'utf8')) as { version: string }
).version;
const run = promisify(execFile);
const revisions = ['2025-11-25', '2026-07-28'] as const;

interface Check {
  id: string;
  status: string;
  errorMessage?: string;
}

const runs = (part: 'server' | 'client' | 'authorization') => values.only === undefined || values.only === part;

const results = [];
for (const revision of runs('server') ? revisions : []) {
  const direct = await withFixture((url) => runSuite(url, revision));
  const gated = await withFixture(async (url) => {
    const gate = await startGateBefore(url);
    try {
      return await runSuite(gate.url, revision);
    } finally {
      await gate.close();
    }
  });
  const lost = [...direct]
    .filter(([key, status]) => status === 'SUCCESS' && gated.get(key) !== 'SUCCESS')
    .map(([key]) => key);
  results.push({ revision, direct: count(direct), gated: count(gated), lost });
}

const clientResults = runs('client') ? await runClientScenarios() : [];
const authorizationResults: AuthorizationResult[] = runs('authorization') ? await runAuthorizationSuite() : [];

const table = [
  `| revision | direct: passed / failed | through the gate: passed / failed | lost |`,
  `|---|---|---|---|`,
  ...results.map(
    ({ revision, direct, gated, lost }) =>
      `| ${revision} | ${direct.passed} / ${direct.failed} | ${gated.passed} / ${gated.failed} | ${lost.length} |`,
  ),
].join('\n');
/** Checks that the official TypeScript SDK 2.4.0's own client passes and fails with the same suite. */
const sdkClient: Record<string, string> = { '2025-11-25': '281 / 9', '2026-07-28': '425 / 9' };
const clientTable = [
  '| revision | scenarios | checks: passed / failed / warnings | the SDK’s client: passed / failed |',
  '|---|---|---|---|',
  ...Object.keys(clientScenarios).map((version) => {
    const those = clientResults.filter((result) => result.version === version);
    const sum = (of: (result: ClientResult) => number) => those.reduce((total, result) => total + of(result), 0);
    return `| ${version} | ${those.length} | ${sum(({ passed }) => passed)} / ${sum(({ failed }) => failed.length)} / ${sum(({ warnings }) => warnings.length)} | ${sdkClient[version] ?? '–'} |`;
  }),
].join('\n');
const authorizationTable = [
  '| scenario | checks: passed / failed / warnings |',
  '|---|---|',
  ...authorizationResults.map(
    ({ scenario, passed, failed, warnings }) => `| ${scenario} | ${passed} / ${failed.length} / ${warnings.length} |`,
  ),
].join('\n');
const lost = results.flatMap(({ revision, lost }) => lost.map((key) => `${revision}: ${key}`));
const failing = [
  ...clientResults.flatMap(({ version, name, failed }) => failed.map((each) => `${version}: ${name}: ${each}`)),
  ...authorizationResults.flatMap(({ scenario, failed }) => failed.map((each) => `${scenario}: ${each}`)),
];
if (values.json)
  console.log(
    JSON.stringify(
      { suite: suiteVersion, node: process.version, results, clientResults, authorizationResults },
      null,
      2,
    ),
  );
else {
  console.log(`@modelcontextprotocol/conformance ${suiteVersion}, Node ${process.version}`);
  if (runs('server')) console.log(`\n${table}\n${lost.length > 0 ? `\nLost:\n${lines(lost)}` : '\nNo check is lost.'}`);
  if (runs('client')) console.log(`\n${clientTable}`);
  if (runs('authorization')) console.log(`\n${authorizationTable}`);
  if (values.only !== 'server') console.log(failing.length > 0 ? `\nFailing:\n${lines(failing)}` : '\nNo check fails.');
}
if (values.write && values.only === undefined) {
  const today = new Date().toISOString().slice(0, 10);
  const page = `# MCP conformance

\`npm run conformance -- --write\`, ${today}, @modelcontextprotocol/conformance ${suiteVersion}, Node ${process.version}.

## Servers through the gate (C1)

The fixture is conformance/fixture, on the official SDK v2; the gate stands before it with a real task, its token and proofs.

${table}

## The gate as a client (C2)

Each scenario’s server is an upstream of one running gate, which authorizes itself there as its manifest says; an operator consents where a person has to, and an agent calls the tools through the gate. Scenarios without authorization drive the gate’s client side alone. All of the suite’s client scenarios about tools and authorization are run, the optional ones (client credentials, enterprise-managed authorization, DPoP, workload identity federation) included; not run are those of the skills extension. The suite checks every message, so the more a client asks, the more checks there are: compare what fails.

${clientTable}

## The authorization server (C2)

A person consents on the way; the client is public and asks for no scope.

${authorizationTable}
${failing.length > 0 ? `\nFailing:\n${lines(failing)}\n` : ''}`;
  writeFileSync(join(import.meta.dirname, 'RESULTS.md'), page);
}
process.exit(lost.length + failing.length > 0 ? 1 : 0);

function lines(texts: string[]): string {
  return texts.map((each) => `- ${each}`).join('\n');
}

async function runClientScenarios(): Promise<ClientResult[]> {
  const client = await startClientSuite();
  try {
    const found: ClientResult[] = [];
    for (const [version, names] of Object.entries(clientScenarios))
      for (const name of names) found.push(await client.run({ name, version } as ClientScenario));
    return found;
  } finally {
    await client.close();
  }
}

async function withFixture<T>(use: (url: string) => Promise<T>): Promise<T> {
  const fixture = await startFixture();
  try {
    return await use(fixture.url);
  } finally {
    await fixture.close();
  }
}

/** Status of each check, keyed by scenario and check; one that a scenario has several times is numbered. */
async function runSuite(url: string, revision: string): Promise<Map<string, string>> {
  const directory = mkdtempSync(join(tmpdir(), 'conformance-'));
  try {
    // The suite's exit code is 1 when any check fails; the checks are read from its files.
    await run(process.execPath, [suite, 'server', '--url', url, '--requirements', revision, '-o', directory], {
      maxBuffer: 64 * 1024 * 1024,
    }).catch(() => undefined);
    const statuses = new Map<string, string>();
    for (const file of globSync('*/checks.json', { cwd: directory }).sort()) {
      const scenario = dirname(file).replace(/-\d{4}-\d\d-\d\dT.*$/, '');
      for (const { id, status, errorMessage } of JSON.parse(readFileSync(join(directory, file), 'utf8')) as Check[]) {
        let key = `${scenario} ${id}`;
        for (let number = 2; statuses.has(key); number++) key = `${scenario} ${id} ${number}`;
        statuses.set(key, status);
        if (status === 'FAILURE' && process.env.CONFORMANCE_VERBOSE) console.error(`${key}: ${errorMessage ?? ''}`);
      }
    }
    if (statuses.size === 0) throw new Error(`the suite reported nothing for ${revision}`);
    return statuses;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function count(statuses: Map<string, string>): { passed: number; failed: number } {
  const all = [...statuses.values()];
  return {
    passed: all.filter((status) => status === 'SUCCESS').length,
    failed: all.filter((status) => status === 'FAILURE').length,
  };
}
