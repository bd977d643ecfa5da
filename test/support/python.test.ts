import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { pythonTool } from './python.ts';

test('a Python package is installed at exactly its version, apart from the system, and found again', async (t) => {
  const tool = await pythonTool('idna', '3.11');
  if (!tool) return t.skip('Python is missing: see above');
  const version = spawnSync(tool.python, ['-c', 'import idna; print(idna.__version__)'], { encoding: 'utf8' });
  assert.equal(version.stdout.trim(), '3.11', version.stderr);
  assert.match(await tool.within('idna'), /gatehouse-python-.*idna-3\.11-.*site-packages/);
  assert.equal((await pythonTool('idna', '3.11'))?.python, tool.python);
});

test('a package that cannot be had is a failure in CI, and elsewhere nothing', async () => {
  const before = process.env.CI;
  try {
    process.env.CI = '1';
    await assert.rejects(
      pythonTool('no-package', '1', [], '/nonexistent/python3'),
      /no-package 1 is missing: .*apt-get install python3-venv/,
    );
    delete process.env.CI;
    assert.equal(await pythonTool('no-package', '2', [], '/nonexistent/python3'), undefined);
  } finally {
    if (before === undefined) delete process.env.CI;
    else process.env.CI = before;
  }
});
