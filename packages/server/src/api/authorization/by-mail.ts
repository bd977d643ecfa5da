import type { Api } from '@gatehouse/protocol';

/** What is answered of the one approval that a mail was about. A yes there needs its person's passkey as everywhere. */
const ofItsApproval: ReadonlySet<string> = new Set<keyof Api>([
  'GET /approvals/:id',
  'GET /approvals/:id/progress',
  'GET /approvals/:id/context',
  'POST /approvals/:id/options',
  'POST /approvals/:id/approve',
  'POST /approvals/:id/deny',
]);
const onTheWay: ReadonlySet<string> = new Set<keyof Api>(['GET /session', 'POST /signout']);

/** Whether a session that the link of a mail about this approval has opened may use the route on `id`. Whatever is not named here it may not. */
export const isOpenByMail = (route: string, id: string | undefined) => (approval: string) =>
  onTheWay.has(route) || (ofItsApproval.has(route) && id === approval);
