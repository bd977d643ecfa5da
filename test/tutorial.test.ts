import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createCli, nodeArgs } from '../packages/cli/test/support.ts';
import { freePort } from './support/free-port.ts';

/** The tutorial, typed line by line: its text is the test. The server listens elsewhere, so that one that is running is left alone. */
const page = readFileSync(join(import.meta.dirname, '..', 'docs', 'tutorials', 'first-agent.md'), 'utf8');
const directory = mkdtempSync(join(tmpdir(), 'gatehouse-tutorial-'));
const env = { PATH: process.env.PATH ?? '', HOME: directory, XDG_CONFIG_HOME: directory, XDG_CACHE_HOME: directory };
let port = 0;
let server: ReturnType<ReturnType<typeof createCli>['start']>;

before(async () => {
  port = await freePort();
  server = createCli(directory).start(['start', '--json', '--port', String(port), '--no-mtls-port']);
  await once(server.stdout as NodeJS.ReadableStream, 'data');
});
after(async () => {
  server.kill();
  await once(server, 'close');
  rmSync(directory, { recursive: true, force: true });
});

const blocks = () =>
  [...page.matchAll(/^ *```sh\n(.*?)^ *```$/gms)].map(([, text = '']) =>
    text
      .replaceAll(/^ {3}/gm, '')
      .replace(/^alias .*$/m, `alias gatehouse='${process.execPath} ${nodeArgs.join(' ')}'`)
      .replaceAll('localhost:4283', `localhost:${port}`),
  );

async function type(script: string): Promise<{ code: number | null; output: string }> {
  const path = join(directory, 'typed.sh');
  writeFileSync(path, script);
  const child = spawn('bash', ['-O', 'expand_aliases', path], {
    cwd: directory,
    env: { ...env, GATEHOUSE_URL: `http://localhost:${port}` },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

test('the first agent, as the tutorial has it, from the manifest to the kill', async () => {
  const expected = [
    /agent-coding-copilot-staging/,
    /\+ Agent agent-first-staging[\s\S]*Applied: 1 created/,
    /Good once, until/,
    /A new key was made[\s\S]*agent-first-staging has it now/,
    /^eyJ[\s\S]*Task tsk_/,
    /bound to a key: present it as DPoP/,
    /\[FILE\] README\.md/,
    /tools\/call[\s\S]*token\.issue[\s\S]*task\.start[\s\S]*agent\.enrol/,
    /killed/,
  ];
  const alias = blocks()[0]?.split('\n')[0] ?? '';
  const done: string[] = [];
  for (const [at, block] of blocks().entries()) {
    const { output } = await type(`${alias}\n${block}`);
    assert.match(output, expected[at] ?? /^$/, block);
    done.push(block);
    // As the page says in words: what the template does not name is refused, with the reason.
    if (block.includes('call.json')) {
      const other = await type(
        `${alias}\n${block.replaceAll('filesystem__list_directory', 'filesystem__create_directory')}`,
      );
      assert.match(other.output, /code-review/);
      assert.match(other.output, /"error"|isError/);
    }
  }
  assert.equal(done.length, expected.length);
  // What the page says in words: the join token was good once.
  const again = await type(`${alias}\n${done[3]?.trim()} --key-file other.jwk`);
  assert.match(again.output, /not taken/);
});
