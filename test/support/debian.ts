import { spawnSync } from 'node:child_process';

/**
 * Programs of the system that tests run, and the Debian packages that bring them. Where one is missing: throws in CI (whose script installs
 * them), elsewhere says on stderr how to get it and gives false, so that the test can be skipped.
 */
export function hasPrograms(programs: readonly string[], packages: readonly string[]): boolean {
  const missing = programs.filter(
    (program) => spawnSync('/bin/sh', ['-c', 'command -v "$0"', program], { stdio: 'ignore' }).status !== 0,
  );
  if (missing.length === 0) return true;
  const howToGet = `${missing.join(' and ')} missing; on Debian: apt-get install ${packages.join(' ')}`;
  if (process.env.CI) throw new Error(howToGet);
  console.error(`Some tests are skipped: ${howToGet}`);
  return false;
}
