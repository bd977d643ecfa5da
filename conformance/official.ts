import { execFile } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runAuthorizationSuite } from './authorization-suite.ts';
import { type ClientResult, type ClientScenario, clientScenarios, startClientSuite } from './client-suite.ts';
import { startFixture } from './fixture/server.ts';
import type { Part } from './part.ts';
import { startGateBefore } from './through-gate.ts';

/** The official MCP suite, in three parts. */
const suite = fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/dist/index.js'));
const { version } = JSON.parse(readFileSync(join(dirname(suite), '..', 'package.json'), 'utf8')) as { version: string };
const versions = `@modelcontextprotocol/conformance ${version}`;
const revisions = ['2025-11-25', '2026-07-28'] as const;
const run = promisify(execFile);

interface Check {
  id: string;
  status: string;
  errorMessage?: string;
}

/** The fixture directly and through the gate, in both eras, compared check by check. */
export const server: Part = {
  heading: 'Servers through the gate (C1)',
  async run() {
    const rows = [];
    for (const revision of revisions) {
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
      rows.push({ revision, direct: count(direct), gated: count(gated), lost });
    }
    const table = [
      `| revision | direct: passed / failed | through the gate: passed / failed | lost |`,
      `|---|---|---|---|`,
      ...rows.map(
        ({ revision, direct, gated, lost }) =>
          `| ${revision} | ${direct.passed} / ${direct.failed} | ${gated.passed} / ${gated.failed} | ${lost.length} |`,
      ),
    ].join('\n');
    const how =
      'The fixture is conformance/fixture, on the official SDK v2; the gate stands before it with a real task, its token and proofs.';
    const failing = rows.flatMap(({ revision, lost }) => lost.map((key) => `${revision}: ${key} is lost`));
    return { versions, text: `${how}\n\n${table}`, failing, rows };
  },
};

/** Checks that the official TypeScript SDK 2.4.0's own client passes and fails with the same suite. */
const sdkClient: Record<string, string> = { '2025-11-25': '281 / 9', '2026-07-28': '425 / 9' };

/** Its client scenarios against the gate's client side, authorization included. */
export const client: Part = {
  heading: 'The gate as a client (C2)',
  async run() {
    const rows = await runClientScenarios();
    const table = [
      '| revision | scenarios | checks: passed / failed / warnings | the SDK’s client: passed / failed |',
      '|---|---|---|---|',
      ...Object.keys(clientScenarios).map((revision) => {
        const those = rows.filter((result) => result.version === revision);
        const sum = (of: (result: ClientResult) => number) => those.reduce((total, result) => total + of(result), 0);
        return `| ${revision} | ${those.length} | ${sum(({ passed }) => passed)} / ${sum(({ failed }) => failed.length)} / ${sum(({ warnings }) => warnings.length)} | ${sdkClient[revision] ?? '–'} |`;
      }),
    ].join('\n');
    const how =
      'Each scenario’s server is an upstream of one running gate, which authorizes itself there as its manifest says; an operator consents where a person has to, and an agent calls the tools through the gate. Scenarios without authorization drive the gate’s client side alone. All of the suite’s client scenarios about tools and authorization are run, the optional ones (client credentials, enterprise-managed authorization, DPoP, workload identity federation) included; not run are those of the skills extension. The suite checks every message, so the more a client asks, the more checks there are: compare what fails.';
    const failing = rows.flatMap(({ version, name, failed }) => failed.map((each) => `${version}: ${name}: ${each}`));
    return { versions, text: `${how}\n\n${table}`, failing, rows };
  },
};

/** Its authorization scenarios against the authorization server. */
export const authorization: Part = {
  heading: 'The authorization server (C2)',
  async run() {
    const rows = await runAuthorizationSuite();
    const table = [
      '| scenario | checks: passed / failed / warnings |',
      '|---|---|',
      ...rows.map(
        ({ scenario, passed, failed, warnings }) =>
          `| ${scenario} | ${passed} / ${failed.length} / ${warnings.length} |`,
      ),
    ].join('\n');
    const how = 'A person consents on the way; the client is public and asks for no scope.';
    const failing = rows.flatMap(({ scenario, failed }) => failed.map((each) => `${scenario}: ${each}`));
    return { versions, text: `${how}\n\n${table}`, failing, rows };
  },
};

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
