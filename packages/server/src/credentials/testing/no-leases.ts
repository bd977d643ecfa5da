import type { Leases } from '../index.ts';

const none = async () => {
  throw new Error('no tool here needs a credential of its own');
};

/** For tests of what has nothing to do with credentials. */
export const noLeases: Pick<Leases, 'issue' | 'activate' | 'end' | 'handedOut' | 'abilitiesOf' | 'withinQuota'> = {
  issue: none,
  activate: none,
  end: none,
  handedOut: none,
  abilitiesOf: none,
  withinQuota: none,
};
