import type { Narrowing } from '@gatehouse/protocol';

/** What is left when a task is narrowed more than once: the patterns that lie within one of each. Null: not narrowed. */
export function narrowedBy(...narrowings: (Narrowing | null | undefined)[]): Narrowing | null {
  const [first, ...others] = narrowings.filter((each) => each !== null && each !== undefined);
  if (!first) return null;
  let tools = [...new Set(first.tools)];
  for (const other of others) {
    const within = tools.flatMap((mine) => [
      ...(other.tools.some((its) => covers(its, mine)) ? [mine] : []),
      ...other.tools.filter((its) => covers(mine, its)),
    ]);
    tools = [...new Set(within)];
  }
  return { tools };
}

/** Whether one tool pattern is about all that another is about. */
function covers(wide: string, narrow: string): boolean {
  if (wide === narrow) return true;
  if (narrow.includes('#')) return false;
  return wide === '*' || (wide.endsWith('/*') && narrow.startsWith(wide.slice(0, -1)));
}
