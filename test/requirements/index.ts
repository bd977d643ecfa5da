import { accounts } from './accounts.ts';
import { agents } from './agents.ts';
import { approvalReview } from './approval-review.ts';
import { authoring } from './authoring.ts';
import { baselines } from './baselines.ts';
import { budgets } from './budgets.ts';
import { channels } from './channels.ts';
import { console } from './console.ts';
import { decisions } from './decisions.ts';
import { delegation } from './delegation.ts';
import { direct } from './direct.ts';
import { evidence } from './evidence.ts';
import { exported } from './export.ts';
import { federation } from './federation.ts';
import { gate } from './gate.ts';
import { keys } from './keys.ts';
import { laws } from './laws/index.ts';
import { leases } from './leases.ts';
import { log } from './log.ts';
import { oauth } from './oauth.ts';
import { people } from './people.ts';
import { records } from './records.ts';
import { rehearsal } from './rehearsal.ts';
import type { Requirement } from './requirement.ts';
import { results } from './results.ts';
import { secondYes } from './second-yes.ts';
import { systems } from './systems.ts';
import { trustDomain } from './trust-domain.ts';
import { unknown } from './unknown.ts';
import { whoDecides } from './who-decides.ts';

export const requirements: Requirement[] = [
  ...accounts,
  ...agents,
  ...approvalReview,
  ...baselines,
  ...budgets,
  ...channels,
  ...console,
  ...decisions,
  ...authoring,
  ...delegation,
  ...direct,
  ...exported,
  ...evidence,
  ...federation,
  ...gate,
  ...keys,
  ...laws,
  ...leases,
  ...log,
  ...oauth,
  ...people,
  ...results,
  ...records,
  ...rehearsal,
  ...secondYes,
  ...systems,
  ...trustDomain,
  ...unknown,
  ...whoDecides,
];
