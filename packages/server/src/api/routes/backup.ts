import { backupBodies } from '@gatehouse/protocol';
import type { ApiDependencies } from '../dependencies.ts';
import { type Route, route } from '../route.ts';
import { VERSION } from '../version.ts';

export function backupRoutes({ storage, recordChange, ledger, config }: ApiDependencies): Route[] {
  return [
    route(
      'POST /backup',
      'administer',
      'Record that a backup is made now on this host, and sign a checkpoint for it',
      { body: backupBodies.backUp },
      async ({ caller }) => {
        await storage.transaction((transaction) =>
          recordChange(transaction, {
            operation: 'workspace.backup',
            by: caller.by,
            changes: ['a copy of the whole workspace is made'],
          }),
        );
        return { version: VERSION, trustDomain: config.trustDomain, checkpoint: await ledger.checkpoint() };
      },
    ),
  ];
}
