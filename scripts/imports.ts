import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';

/**
 * Imports run downward only, and between rooms only through a room's index (ARCHITECTURE.md). With `--mermaid` the rooms and
 * their arrows are printed as the picture of that page instead.
 */
const root = join(import.meta.dirname, '..');
const server = 'packages/server/src';

/** From top to bottom; a room may import rooms in rows below its own. */
const rows = [
  ['main.ts'],
  ['composition'],
  ['api'],
  ['governance', 'backup', 'authoring'],
  ['gate'],
  ['enforcement'],
  ['policy', 'approvals', 'credentials', 'ledger'],
  ['identity'],
  ['registry'],
  ['storage'],
  ['platform'],
];

/** What each package may import of the others. */
const packages: Record<string, string[]> = {
  protocol: [],
  verifier: [],
  witness: ['verifier'],
  sdk: ['protocol'],
  console: ['protocol', 'verifier'],
  server: ['protocol', 'verifier'],
  cli: ['protocol', 'sdk', 'verifier', 'witness', 'server'],
};

const level = (room: string) => rows.findIndex((row) => row.includes(room));
const roomOf = (path: string) => relative(server, path).split('/')[0] ?? '';
const problems: string[] = [];
const arrows = new Set<string>();

for (const file of globSync('packages/*/src/**/*.{ts,tsx}', { cwd: root })) {
  const isTest = /\.(test|bench)\.tsx?$|\/testing\/|\/suite(-[a-z]+)*\.ts$/.test(file);
  const own = file.split('/')[1] ?? '';
  for (const specifier of importsOf(readFileSync(join(root, file), 'utf8'))) {
    const dependency = /^@gatehouse\/([a-z]+)/.exec(specifier)?.[1];
    if (dependency && !isTest && !packages[own]?.includes(dependency))
      problems.push(`${file}: package ${own} may not import ${specifier}`);
    if (own !== 'server' || !specifier.startsWith('.') || isTest) continue;
    const target = normalize(join(dirname(file), specifier));
    const [from, to] = [roomOf(file), roomOf(target)];
    if (from === to) continue;
    arrows.add(`${from} --> ${to}`);
    if (level(from) < 0 || level(to) < 0)
      problems.push(`${file}: ${level(from) < 0 ? from : to} is not a room of the house`);
    else if (level(to) <= level(from)) problems.push(`${file}: ${from} may not import ${to}, which is not below it`);
    if (relative(server, target) !== `${to}/index.ts`)
      problems.push(`${file}: imports ${relative(server, target)}; only a room's index.ts may be imported`);
  }
}

function importsOf(source: string): string[] {
  return [
    ...source.matchAll(/(?:^|\n)\s*(?:import|export)\b[^'"`;]*?from\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g),
  ].map(([, a, b]) => a ?? b ?? '');
}

if (process.argv.includes('--mermaid')) {
  console.log(['flowchart TD', ...[...arrows].sort().map((arrow) => `  ${arrow}`)].join('\n'));
} else if (problems.length > 0) {
  console.error(problems.sort().join('\n'));
  process.exit(1);
} else {
  console.error(`${arrows.size} arrows between rooms, all downward`);
}
