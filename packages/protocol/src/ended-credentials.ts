/** Live credentials that a change ends, by provider. */
export interface EndedCredentials {
  items: { provider: string; count: number }[];
  /** False where more are live than were looked at. */
  isWhole: boolean;
}

/** `3 live credentials of orders, 1 of billing`; undefined where there are none. */
export function endedWords({ items, isWhole }: EndedCredentials): string | undefined {
  const [first, ...others] = items;
  if (!first) return undefined;
  const { count, provider } = first;
  const most = isWhole ? '' : 'at least ';
  const head = `${most}${count} live ${count === 1 ? 'credential' : 'credentials'} of ${provider}`;
  return [head, ...others.map((each) => `${each.count} of ${each.provider}`)].join(', ');
}
