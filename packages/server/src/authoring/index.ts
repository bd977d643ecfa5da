export { type Checked, checkDirectory } from './check.ts';
export { DEFINITIONS_FILE, type Directory, readDefinitions, readDirectory } from './directory.ts';
export { lint, lintDirectory } from './lint/index.ts';
export { runTests } from './run-tests.ts';
export { readTestFiles, type TestFile } from './test-files.ts';
export { type Authored, authoredFrom } from './workspace.ts';
