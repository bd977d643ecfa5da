import type { ApiDependencies } from './dependencies.ts';
import type { Route } from './route.ts';
import { accountRoutes } from './routes/accounts.ts';
import { actionRoutes } from './routes/actions.ts';
import { agentIdentityRoutes } from './routes/agent-identity.ts';
import { agentRoutes } from './routes/agents.ts';
import { approvalReviewRoutes } from './routes/approval-review.ts';
import { approvalRoutes } from './routes/approvals.ts';
import { backupRoutes } from './routes/backup.ts';
import { breakGlassRoutes } from './routes/break-glass.ts';
import { budgetRoutes } from './routes/budgets.ts';
import { bulkRoutes } from './routes/bulk.ts';
import { channelRoutes } from './routes/channels.ts';
import { companySignInRoutes } from './routes/company-sign-in.ts';
import { confirmationRoutes } from './routes/confirmations.ts';
import { consentRoutes } from './routes/consents.ts';
import { decideRoutes } from './routes/decide.ts';
import { deciderRoutes } from './routes/deciders.ts';
import { delegationRoutes } from './routes/delegations.ts';
import { evidenceRoutes } from './routes/evidence.ts';
import { explainRoutes } from './routes/explain.ts';
import { federationRoutes } from './routes/federation.ts';
import { heldResultRoutes } from './routes/held-results.ts';
import { keepingRoutes } from './routes/keeping.ts';
import { keyRoutes } from './routes/keys.ts';
import { leaseRoutes } from './routes/leases.ts';
import { peopleRoutes } from './routes/people.ts';
import { policyRoutes } from './routes/policy.ts';
import { policyFileRoutes } from './routes/policy-files.ts';
import { pushRoutes } from './routes/push.ts';
import { recordExportRoutes } from './routes/record-export.ts';
import { secondYesRoutes } from './routes/second-yes.ts';
import { sessionRoutes } from './routes/session.ts';
import { sinkRoutes } from './routes/sinks.ts';
import { standingGrantRoutes } from './routes/standing-grants.ts';
import { statusRoutes } from './routes/status.ts';
import { traceRoutes } from './routes/trace.ts';
import { trustDomainRoutes } from './routes/trust-domain.ts';
import { upstreamAuthorizationRoutes } from './routes/upstream-authorization.ts';
import { workspaceRoutes } from './routes/workspace.ts';

/** Everything that the control API answers; OpenAPI, the reference and who may do what are made of it. */
export function apiRoutes(deps: ApiDependencies): Route[] {
  const routes: Route[] = [
    ...[
      statusRoutes,
      sessionRoutes,
      companySignInRoutes,
      consentRoutes,
      confirmationRoutes,
      agentRoutes,
      agentIdentityRoutes,
      budgetRoutes,
      sinkRoutes,
      heldResultRoutes,
      bulkRoutes,
      federationRoutes,
      workspaceRoutes,
      policyRoutes,
      approvalRoutes,
      standingGrantRoutes,
      breakGlassRoutes,
      channelRoutes,
      leaseRoutes,
      pushRoutes,
      approvalReviewRoutes,
      deciderRoutes,
      actionRoutes,
      delegationRoutes,
      accountRoutes,
      keepingRoutes,
      secondYesRoutes,
      recordExportRoutes,
      traceRoutes,
      trustDomainRoutes,
      upstreamAuthorizationRoutes,
      keyRoutes,
      decideRoutes,
      evidenceRoutes,
      explainRoutes,
      policyFileRoutes,
      backupRoutes,
    ].flatMap((of) => of(deps)),
    ...peopleRoutes(deps, () => routes),
  ];
  return routes;
}
