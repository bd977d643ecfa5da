import type { EvidenceFramework } from '@gatehouse/protocol';
import { euAiAct } from './eu-ai-act.ts';
import type { Framework } from './framework.ts';
import { hipaa } from './hipaa.ts';
import { iso27001 } from './iso27001.ts';
import { owaspAsi } from './owasp-asi.ts';
import { questions } from './questions.ts';
import { soc2 } from './soc2.ts';

export type { Control, Framework } from './framework.ts';

export const frameworks: Record<EvidenceFramework, Framework> = {
  questions,
  soc2,
  iso27001,
  hipaa,
  'eu-ai-act': euAiAct,
  'owasp-asi': owaspAsi,
};
