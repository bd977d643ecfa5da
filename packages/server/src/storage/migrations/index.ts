import type { Kysely } from 'kysely';
import type { Dialect } from '../backend.ts';
import * as first from './0001-first.ts';
import * as searchOrder from './0002-search-order.ts';
import * as delegatedTasks from './0003-delegated-tasks.ts';
import * as foreignBundles from './0004-foreign-bundles.ts';
import * as federation from './0006-federation.ts';
import * as delegations from './0008-delegations.ts';
import * as people from './0009-people.ts';
import * as keyEncryption from './0010-key-encryption.ts';
import * as upstreamAuthorization from './0011-upstream-authorization.ts';
import * as idempotency from './0012-idempotency.ts';
import * as directoryAgents from './0013-directory-agents.ts';
import * as agentKeys from './0014-agent-keys.ts';
import * as delegationTaskTtl from './0015-delegation-task-ttl.ts';
import * as vouched from './0016-vouched.ts';
import * as upstreamDemands from './0017-upstream-demands.ts';
import * as clientKeys from './0018-client-keys.ts';
import * as confirmations from './0019-confirmations.ts';
import * as flow from './0020-flow.ts';
import * as budgets from './0021-budgets.ts';
import * as heldResults from './0022-held-results.ts';
import * as policyVersions from './0023-policy-versions.ts';
import * as suspendedTasks from './0024-suspended-tasks.ts';
import * as baselines from './0025-baselines.ts';
import * as secondPersons from './0026-second-persons.ts';
import * as endorsedFor from './0028-endorsed-for.ts';
import * as votes from './0030-votes.ts';
import * as deputiesSigned from './0031-deputies-signed.ts';
import * as standingGrants from './0032-standing-grants.ts';
import * as breakGlass from './0033-break-glass.ts';
import * as approvalReview from './0034-approval-review.ts';
import * as channels from './0036-channels.ts';
import * as openCalls from './0038-open-calls.ts';
import * as cosignatures from './0039-cosignatures.ts';
import * as search from './0041-search.ts';
import * as holds from './0042-holds.ts';
import * as sinks from './0044-sinks.ts';
import * as rowSeals from './0046-row-seals.ts';
import * as deputiesConfirmed from './0047-deputies-confirmed.ts';
import * as deliveriesSeen from './0048-deliveries-seen.ts';
import * as erasedApprovals from './0049-erased-approvals.ts';
import * as given from './0050-given.ts';
import * as pushSubscriptions from './0051-push-subscriptions.ts';
import * as mailLinks from './0053-mail-links.ts';
import * as told from './0054-told.ts';
import * as retention from './0055-retention.ts';
import * as peopleSeals from './0057-people-seals.ts';
import * as waitingTasks from './0060-waiting-tasks.ts';
import * as enrolledKeys from './0062-enrolled-keys.ts';
import * as retentionOnRecord from './0063-retention-on-record.ts';
import * as removedRecords from './0065-removed-records.ts';
import * as leases from './0070-leases.ts';
import * as leaseKeys from './0071-lease-keys.ts';
import * as handedOut from './0076-handed-out.ts';

export interface Migration {
  name: string;
  up(db: Kysely<unknown>, dialect: Dialect): Promise<void>;
}

/** In the order in which they run. Forward only: a migration that was released is never changed, a new one follows it. */
export const migrations: readonly Migration[] = [
  { name: '0001-first', up: first.up },
  { name: '0002-search-order', up: searchOrder.up },
  { name: '0003-delegated-tasks', up: delegatedTasks.up },
  { name: '0004-foreign-bundles', up: foreignBundles.up },
  { name: '0006-federation', up: federation.up },
  { name: '0008-delegations', up: delegations.up },
  { name: '0009-people', up: people.up },
  { name: '0010-key-encryption', up: keyEncryption.up },
  { name: '0011-upstream-authorization', up: upstreamAuthorization.up },
  { name: '0012-idempotency', up: idempotency.up },
  { name: '0013-directory-agents', up: directoryAgents.up },
  { name: '0014-agent-keys', up: agentKeys.up },
  { name: '0015-delegation-task-ttl', up: delegationTaskTtl.up },
  { name: '0016-vouched', up: vouched.up },
  { name: '0017-upstream-demands', up: upstreamDemands.up },
  { name: '0018-client-keys', up: clientKeys.up },
  { name: '0019-confirmations', up: confirmations.up },
  { name: '0020-flow', up: flow.up },
  { name: '0021-budgets', up: budgets.up },
  { name: '0022-held-results', up: heldResults.up },
  { name: '0023-policy-versions', up: policyVersions.up },
  { name: '0024-suspended-tasks', up: suspendedTasks.up },
  { name: '0025-baselines', up: baselines.up },
  { name: '0026-second-persons', up: secondPersons.up },
  { name: '0028-endorsed-for', up: endorsedFor.up },
  { name: '0030-votes', up: votes.up },
  { name: '0031-deputies-signed', up: deputiesSigned.up },
  { name: '0032-standing-grants', up: standingGrants.up },
  { name: '0033-break-glass', up: breakGlass.up },
  { name: '0034-approval-review', up: approvalReview.up },
  { name: '0036-channels', up: channels.up },
  { name: '0038-open-calls', up: openCalls.up },
  { name: '0039-cosignatures', up: cosignatures.up },
  { name: '0041-search', up: search.up },
  { name: '0042-holds', up: holds.up },
  { name: '0044-sinks', up: sinks.up },
  { name: '0046-row-seals', up: rowSeals.up },
  { name: '0047-deputies-confirmed', up: deputiesConfirmed.up },
  { name: '0048-deliveries-seen', up: deliveriesSeen.up },
  { name: '0049-erased-approvals', up: erasedApprovals.up },
  { name: '0050-given', up: given.up },
  { name: '0051-push-subscriptions', up: pushSubscriptions.up },
  { name: '0053-mail-links', up: mailLinks.up },
  { name: '0054-told', up: told.up },
  { name: '0055-retention', up: retention.up },
  { name: '0057-people-seals', up: peopleSeals.up },
  { name: '0060-waiting-tasks', up: waitingTasks.up },
  { name: '0062-enrolled-keys', up: enrolledKeys.up },
  { name: '0063-retention-on-record', up: retentionOnRecord.up },
  { name: '0065-removed-records', up: removedRecords.up },
  { name: '0070-leases', up: leases.up },
  { name: '0071-lease-keys', up: leaseKeys.up },
  { name: '0076-handed-out', up: handedOut.up },
];
