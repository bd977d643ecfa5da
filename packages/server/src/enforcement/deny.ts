import type { Decision } from '@gatehouse/protocol';
import type { RegisteredTool } from '../registry/index.ts';
import type { Reason } from './who.ts';

export function deny({ code, reason }: Reason, policyVersion: string, tool: RegisteredTool | null = null): Decision {
  return { effect: 'deny', tier: tool?.tier ?? 4, code, reason, policies: [], policyVersion };
}
