import { Command } from 'commander';
import { addAccountVerbs } from './tree/accounts.ts';
import { addActionVerbs } from './tree/actions.ts';
import { addAgentVerbs } from './tree/agents.ts';
import { addApprovalVerbs } from './tree/approvals.ts';
import { addBackupVerbs } from './tree/backup.ts';
import { addBreakGlassVerbs } from './tree/break-glass.ts';
import { addBudgetVerbs } from './tree/budgets.ts';
import { addChannelVerbs } from './tree/channels.ts';
import { addCredentialVerbs } from './tree/credentials.ts';
import { addDeciderVerbs } from './tree/deciders.ts';
import { addDelegationVerbs } from './tree/delegations.ts';
import { addEvidenceVerbs } from './tree/evidence.ts';
import { addKeyVerbs } from './tree/keys.ts';
import { addLeaseVerbs } from './tree/leases.ts';
import { addLogVerbs } from './tree/log.ts';
import { addNotificationVerbs } from './tree/notifications.ts';
import { addPackVerbs } from './tree/packs.ts';
import { addPeopleVerbs } from './tree/people.ts';
import { addPolicyVerbs } from './tree/policy.ts';
import { addRehearsalVerbs } from './tree/rehearsal.ts';
import { addResultVerbs } from './tree/results.ts';
import { addServerVerbs } from './tree/server.ts';
import { addSessionVerbs } from './tree/session.ts';
import { addSinkVerbs } from './tree/sinks.ts';
import { addStandingGrantVerbs } from './tree/standing-grants.ts';
import { addTaskVerbs } from './tree/tasks.ts';
import { addTrustVerbs, addWorkloadVerbs } from './tree/trust.ts';
import { addTrustDomainVerbs } from './tree/trust-domain.ts';
import { addUpstreamVerbs } from './tree/upstreams.ts';
import { addWitnessVerbs } from './tree/witness.ts';
import { addWorkspaceVerbs } from './tree/workspace.ts';
import { describe } from './verb.ts';

/** All verbs with their options and examples; what runs them is loaded when one is called. */
export function createProgram(): Command {
  const program = new Command('gatehouse')
    .description('Identity and access management for AI agents')
    .helpCommand(false)
    .showHelpAfterError('(add --help for what there is)')
    .exitOverride();
  describe(program, {
    examples: [
      ['start', 'Run the server.'],
      ['agents', 'See which agents there are.'],
      ['kill agent-support-refunds-prod --reason "acts on a poisoned ticket"', 'Stop one everywhere, now.'],
    ],
  });
  addServerVerbs(program);
  addSessionVerbs(program);
  addAgentVerbs(program);
  addPeopleVerbs(program);
  addTaskVerbs(program);
  addWorkspaceVerbs(program);
  addPackVerbs(program);
  addPolicyVerbs(program);
  addUpstreamVerbs(program);
  addApprovalVerbs(program);
  addStandingGrantVerbs(program);
  addBreakGlassVerbs(program);
  addChannelVerbs(program);
  addLeaseVerbs(program);
  addCredentialVerbs(program);
  addNotificationVerbs(program);
  addResultVerbs(program);
  addActionVerbs(program);
  addBudgetVerbs(program);
  addDeciderVerbs(program);
  addDelegationVerbs(program);
  addAccountVerbs(program);
  addLogVerbs(program);
  addSinkVerbs(program);
  addWitnessVerbs(program);
  addTrustDomainVerbs(program);
  addTrustVerbs(program);
  addWorkloadVerbs(program);
  addKeyVerbs(program);
  addBackupVerbs(program);
  addEvidenceVerbs(program);
  addRehearsalVerbs(program);
  // Commander hands neither of these down to commands that are made later in a tree.
  const settle = (command: Command) => {
    for (const child of command.commands) {
      child.exitOverride().showHelpAfterError('(add --help for what there is)').helpCommand(false);
      settle(child);
    }
  };
  settle(program);
  return program;
}
