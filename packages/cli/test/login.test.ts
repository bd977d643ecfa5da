import assert from 'node:assert/strict';
import { createECDH } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { role, type SessionView } from '@gatehouse/protocol';
import { manifests } from '../../../test/support/fixtures.ts';
import { confirm, letIn, requestOf } from '../../../test/support/terminal.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from '../../../test/support/workspace.ts';
import { createCli, type Ended, ended, scratch } from './support.ts';

/** People at the command line: signing in and out at a server elsewhere, and every verb about people as they and as the operator. */
let workspace: Workspace;
let person: SignedInPerson;
const everything = 'everything@example.test';

before(async () => {
  workspace = await startWorkspace();
  await workspace.apply([
    ...manifests(),
    { kind: 'Person', email: everything, displayName: 'Everything', roles: [...role.options] },
    { kind: 'Person', email: 'dana@example.test', displayName: 'Dana', roles: ['auditor'] },
  ]);
  person = await workspace.person(everything);
});
after(() => workspace.close());

interface Shell {
  directory: string;
  sessionFile(): string;
  run(...args: string[]): Promise<Ended>;
  /** `gatehouse login`, answered by this person in their browser. */
  login(who: SignedInPerson, ...args: string[]): Promise<Ended>;
  /** The same with another answer to the request of this id. */
  answered(answer: (id: string) => Promise<unknown>, ...args: string[]): Promise<Ended>;
}

function shellOf(t: { after(run: () => void): void }, env: Record<string, string> = {}): Shell {
  const directory = scratch(t);
  const cli = createCli(directory, { GATEHOUSE_URL: workspace.url, ...env });
  return {
    directory,
    sessionFile: () => {
      const sessions = join(directory, 'config', 'gatehouse', 'sessions');
      const [file = ''] = existsSync(sessions) ? readdirSync(sessions) : [];
      return join(sessions, file);
    },
    run: cli.run,
    login: (who, ...args) => answered((id) => letIn(who, workspace.url, id), ...args),
    answered,
  };

  async function answered(answer: (id: string) => Promise<unknown>, ...args: string[]): Promise<Ended> {
    const child = cli.start(['login', '--no-browser', ...args]);
    const done = ended(child);
    let told = '';
    const code = new Promise<string>((resolve) => {
      child.stderr?.on('data', (text: string) => {
        told += text;
        const found = /compare the code: (\S+)/.exec(told)?.[1];
        if (found) resolve(found);
      });
    });
    await answer(requestOf(await Promise.race([code, done.then(({ stderr }) => stderr)])));
    return done;
  }
}

/** @proves terminal.cli */
test('login, whoami, a verb, logout: as oneself, in a file that only its user can read', async (t) => {
  const shell = shellOf(t);
  const nobody = await shell.run('whoami');
  assert.equal(nobody.code, 77);
  assert.match(nobody.stderr, /gatehouse login --url/);

  const login = await shell.login(person);
  assert.equal(login.code, 0, login.stderr);
  assert.match(login.stderr, new RegExp(`open ${workspace.url}/device\\?user_code=`));
  assert.match(login.stdout, /Signed in at .* as Everything \(everything@example\.test\), until 20/);
  const file = shell.sessionFile();
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(statSync(join(file, '..')).mode & 0o777, 0o700);

  const who = await shell.run('whoami');
  assert.equal(who.code, 0, who.stderr);
  for (const text of [workspace.url, everything, 'approver', 'let in by a passkey', 'Since', 'Until'])
    assert.ok(who.stdout.includes(text), text);
  const view = (await shell.run('whoami', '--json')).json<SessionView & { url: string }>();
  assert.deepEqual([view.url, view.via, view.person.email], [workspace.url, 'command-line', everything]);

  const kill = await shell.run('kill', 'agent-a', '--reason', 'test');
  assert.equal(kill.code, 0, kill.stderr);
  const { items } = await workspace.operator('GET /records', { query: { operation: 'agent.kill' } });
  assert.match(JSON.stringify(items), /person:everything@example\.test/, 'recorded in the person’s name');

  const { token } = JSON.parse(readFileSync(file, 'utf8')) as { token: string };
  const logout = await shell.run('logout');
  assert.equal(logout.code, 0, logout.stderr);
  assert.ok(!existsSync(file));
  const copy = await fetch(`${workspace.url}/api/v1/session`, { headers: { authorization: `Session ${token}` } });
  assert.equal(copy.status, 401);
  assert.ok(
    (await person.api('GET /sessions')).items.every(({ restricted }) => !restricted),
    'over at the server, too',
  );
  assert.equal((await shell.run('logout')).code, 77);
});

test('no copy of the token or its key is in what the verbs print', async (t) => {
  const shell = shellOf(t);
  const login = await shell.login(person, '--json');
  assert.equal(login.json<SessionView>().person.email, everything);
  const { token, key } = JSON.parse(readFileSync(shell.sessionFile(), 'utf8')) as { token: string; key: { d: string } };
  const all = [login, await shell.run('whoami', '--json'), await shell.run('sessions', '--json')];
  for (const { stdout, stderr } of all)
    for (const secret of [token, key.d]) assert.ok(!(stdout + stderr).includes(secret));
});

/** @proves terminal.cli */
test('a session file that others can read, or that is damaged, is not used; one that has ended says what to do', async (t) => {
  const shell = shellOf(t, { GATEHOUSE_DATA_DIR: workspace.dataDir });
  await shell.login(person);
  const file = shell.sessionFile();
  chmodSync(file, 0o640);
  for (const args of [['whoami'], ['agents'], ['logout']]) {
    const refused = await shell.run(...args);
    assert.equal(refused.code, 77, args[0]);
    assert.match(refused.stderr, /can be read by others.*chmod 600/, args[0]);
  }
  chmodSync(file, 0o600);
  const operator = await shell.run('whoami', '--data-dir', workspace.dataDir, '--json');
  assert.equal(operator.json<SessionView>().via, 'operator', '--data-dir asks as the operator');
  assert.equal((await shell.run('whoami', '--json')).json<SessionView>().person.email, everything);

  await person.api('DELETE /sessions/:id', {
    params: { id: (await person.api('GET /sessions')).items.find(({ restricted }) => restricted)?.id ?? '' },
  });
  const over = await shell.run('agents', '--json');
  assert.equal(over.code, 77);
  assert.match(over.stderr, /session\.none.*gatehouse login/, 'and it does not go on as the operator by itself');
  assert.equal((await shell.run('logout')).code, 0, 'what is over can be put away');

  await shell.login(person);
  writeFileSync(shell.sessionFile(), '{');
  const damaged = await shell.run('agents');
  assert.equal(damaged.code, 66);
  assert.match(damaged.stderr, /damaged.*gatehouse login/);
  assert.equal((await shell.login(person)).code, 0, 'signing in again puts it right');
});

test('signing in again ends the session of before; a "no", a wrong address and no server leave none', async (t) => {
  const shell = shellOf(t);
  const of = async () => (await person.api('GET /sessions')).items.filter(({ restricted }) => restricted);
  for (const { id } of await of()) await person.api('DELETE /sessions/:id', { params: { id } });
  await shell.login(person);
  const [first] = await of();
  await shell.login(person);
  const now = await of();
  assert.deepEqual([now.length, now.some(({ id }) => id === first?.id)], [1, false]);

  const other = shellOf(t);
  const no = await other.answered((id) => person.api('POST /consents/:id/deny', { params: { id } }));
  assert.deepEqual([no.code, /The person said no/.test(no.stderr)], [2, true]);
  const address = await other.run('login', '--url', workspace.url.replace('localhost', '127.0.0.1'));
  assert.match(address.stderr, new RegExp(`calls itself ${workspace.url}`));
  const gone = await other.run('login', '--url', 'http://localhost:9');
  assert.match(gone.stderr, /No Gatehouse server answers/);
  const plain = await other.run('login', '--url', 'http://gatehouse.example.test');
  assert.match(plain.stderr, /not protected: use https/);
  assert.ok(!existsSync(other.sessionFile()) || !statSync(other.sessionFile()).isFile());
});

/** @proves terminal.cli */
test('sessions are listed with their computer and end by id, one’s own and, for security, others’', async (t) => {
  const shell = shellOf(t);
  await shell.login(person);
  const list = await shell.run('sessions');
  assert.match(list.stdout, /\(this one\)\s+command line on \S+\s+device/);
  assert.match(list.stdout, /browser: /);
  const view = (await shell.run('whoami', '--json')).json<SessionView>();
  const others = await shell.run('people', 'sessions', everything);
  assert.match(others.stdout, /command line on/);
  assert.equal((await shell.run('sessions', 'end', 'abc')).code, 66);
  const end = await shell.run('sessions', 'end', view.session?.id.slice(0, 12) ?? '');
  assert.equal(end.code, 0, end.stderr);
  assert.equal((await shell.run('whoami')).code, 77);
});

/** @proves push.own */
test('who is notified where is listed, tried and ended at the command line, and turned on in a browser alone', async (t) => {
  await workspace.apply([{ kind: 'Channel', name: 'push', push: { services: ['push.example.test'] } }]);
  const keys = { p256dh: createECDH('prime256v1').generateKeys('base64url'), auth: 'A'.repeat(22) };
  const body = { endpoint: 'https://push.example.test/x', keys };
  const { id } = await person.api('POST /push/subscriptions', { body });
  const shell = shellOf(t);
  await shell.login(person);
  assert.match((await shell.run('notifications')).stdout, /psh_\w+ .*push\.example\.test +ends/);
  const { items } = (await shell.run('notifications', 'list', '--json')).json<{ items: { id: string }[] }>();
  assert.deepEqual(
    items.map((each) => each.id),
    [id],
  );
  const tried = await shell.run('notifications', 'test', id);
  assert.deepEqual([tried.code, /not delivered: .*push\.example\.test/.test(tried.stderr)], [1, true]);
  assert.deepEqual((await shell.run('notifications', 'remove', id, '--json')).json(), { removed: id });
  assert.equal((await shell.run('notifications', 'remove', id)).code, 1);
  assert.match((await shell.run('notifications')).stderr, /notified in no browser/);
});

const asOperator = (t: Parameters<typeof shellOf>[0]) => shellOf(t, { GATEHOUSE_DATA_DIR: workspace.dataDir });

async function peopleVerbs(shell: Shell): Promise<void> {
  const json = async <T>(...args: string[]) => {
    const done = await shell.run(...args, '--json');
    assert.equal(done.code, 0, `${args.join(' ')}: ${done.stderr}`);
    return done.json<T>();
  };
  assert.match((await shell.run('people')).stdout, /dana@example\.test +Dana +auditor +manifest/);
  assert.deepEqual(
    (await json<{ items: { email: string }[] }>('people', 'list')).items.map(({ email }) => email).sort(),
    (await workspace.operator('GET /people')).items.map(({ email }) => email).sort(),
  );
  assert.match((await shell.run('people', 'show', 'dana@example.test')).stdout, /Roles +auditor/);
  const unknown = await shell.run('people', 'show', 'nobody@example.test');
  assert.deepEqual([unknown.code, /There is no person/.test(unknown.stderr)], [1, true]);
  const dana = await workspace.person('dana@example.test');
  assert.equal((await json<{ items: unknown[] }>('people', 'sessions', 'dana@example.test')).items.length, 1);
  assert.deepEqual(await json('people', 'sessions', 'dana@example.test', '--end'), { ended: 1 });
  await assert.rejects(dana.api('GET /session'), /session\.none/);
  const left = await shell.run('people', 'offboard', 'dana@example.test', '--reason', 'left');
  assert.match(left.stdout, /dana@example\.test has left\.[\s\S]*Passkeys removed +1/);
  assert.match((await shell.run('people')).stdout, /dana@example\.test +Dana +left/);
}

const toStranger = ['people', 'offboard', 'owner@example.test', '--successor', 'x@example.test'];

test('verbs about people and directories as the operator of the host', async (t) => {
  const shell = asOperator(t);
  await peopleVerbs(shell);
  assert.equal((await shell.run(...toStranger)).code, 1);
  const back = await shell.run('people', 'reinstate', 'dana@example.test');
  assert.match(back.stdout, /dana@example\.test is back, with the roles auditor/);
  const made = await shell.run('scim', 'token', 'create', 'entra', '--expires-in-days', '30');
  assert.match(made.stdout, /shown this once/);
  const [, token = ''] = /Token +(\S+)/.exec(made.stdout) ?? [];
  const users = () => fetch(`${workspace.url}/scim/v2/Users`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await users()).status, 200);
  assert.equal((await shell.run('scim', 'token', 'create', 'x', '--expires-in-days', '0')).code, 64);
  const list = await shell.run('scim', 'token', 'list');
  assert.match(list.stdout, /entra/);
  assert.ok(!list.stdout.includes(token));
  const { items } = (await shell.run('scim', 'token', 'list', '--json')).json<{ items: { id: string }[] }>();
  assert.equal((await shell.run('scim', 'token', 'revoke', items[0]?.id ?? '')).code, 0);
  assert.equal((await users()).status, 401);
  assert.match((await shell.run('scim', 'token', 'list')).stderr, /No directory has a token/);
  assert.equal((await shell.run('scim', 'token', 'revoke', 'tok_none')).code, 1);
});

/** @proves law-4.terminal, people.successor */
test('the same verbs as a person at the command line: all but those that let somebody in', async (t) => {
  const shell = shellOf(t);
  await shell.login(person);
  await peopleVerbs(shell);
  assert.equal((await shell.run(...toStranger)).code, 3, 'who gets agents is confirmed');
  for (const args of [
    ['people', 'reinstate', 'dana@example.test'],
    ['scim', 'token', 'create', 'mine'],
  ]) {
    const refused = await shell.run(...args);
    assert.equal(refused.code, 2, args.join(' '));
    assert.match(refused.stderr, /open the console in a browser/);
  }
  const { id } = await workspace.operator('POST /scim/tokens', { body: { name: 'okta' } });
  assert.match((await shell.run('scim', 'token', 'list')).stdout, /okta/);
  assert.equal((await shell.run('scim', 'token', 'revoke', id)).code, 0, 'cutting off is not letting in');
  const people = join(shell.directory, 'people.yaml');
  writeFileSync(people, 'kind: Person\nemail: mallory@example.test\ndisplayName: M\nroles: [approver]\n');
  const apply = await shell.run('apply', '-f', people);
  assert.equal(apply.code, 3, apply.stderr);
  assert.match(apply.stderr, /Nothing was done yet: a person confirms it at http/);
  await workspace.operator('POST /people/:email/reinstate', { params: { email: 'dana@example.test' } });

  const take = ['people', 'offboard', 'dana@example.test', '--successor', everything];
  const asked = await shell.run(...take);
  assert.equal(asked.code, 3, asked.stderr);
  const [, confirmation = ''] = /--confirmation (\S+)/.exec(asked.stderr) ?? [];
  await confirm(person, workspace.url, confirmation);
  const selfish = await shell.run(...take, '--confirmation', confirmation);
  assert.equal(selfish.code, 2, selfish.stderr);
  assert.match(selfish.stderr, /Nobody makes themselves the successor\. Name another person/);
  assert.match((await shell.run('people', 'show', 'dana@example.test')).stdout, /Roles +auditor/, 'who has not left');

  const auditor = shellOf(t);
  await auditor.login(await workspace.person('auditor@example.test'));
  assert.equal((await auditor.run('people')).code, 0);
  const refused = await auditor.run('people', 'offboard', 'dana@example.test');
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /needs one of the roles admin, security/);
});
