import { join } from 'node:path';
import type { ManifestInput } from '@gatehouse/protocol';

const shop = join(import.meta.dirname, '..', '..', 'examples', 'shop', 'src', 'main.ts');

/** A workspace of one shop and two agents, as whole-system tests use it. `all` allows every tool; tiers then decide. */
export function manifests(options: { production?: boolean; policies?: Record<string, string> } = {}): ManifestInput[] {
  return [
    { kind: 'Environment', name: 'production', production: options.production ?? false },
    { kind: 'Environment', name: 'staging' },
    {
      kind: 'Person',
      email: 'owner@example.test',
      displayName: 'Owner',
      roles: ['admin', 'security', 'owner', 'approver'],
    },
    { kind: 'Person', email: 'approver@example.test', displayName: 'Approver', roles: ['approver'] },
    { kind: 'Person', email: 'auditor@example.test', displayName: 'Auditor', roles: ['auditor'] },
    { kind: 'Blueprint', name: 'support', templates: ['all', 'refund-order'] },
    ...['agent-a', 'agent-b', 'agent-bearer'].map(
      (name): ManifestInput => ({
        kind: 'Agent',
        name,
        owner: 'owner@example.test',
        purpose: 'tests',
        environment: 'production',
        blueprint: 'support',
        bearerOnly: name === 'agent-bearer',
      }),
    ),
    {
      kind: 'ToolServer',
      name: 'shop',
      environments: ['production'],
      transport: { type: 'stdio', command: 'node', args: [shop, '--database', '{workingDirectory}/shop.sqlite'] },
      stateless: true,
      tools: {
        get_order: { tier: 1, effects: ['read'], resourceArgument: 'order' },
        get_ticket: { tier: 1, effects: ['read'] },
        list_orders: { tier: 1, effects: ['read'] },
        post_message: { tier: 2, effects: ['send'] },
        refund_order: { tier: 3, effects: ['pay'], resourceArgument: 'order' },
        export_customers: { tier: 3, effects: ['export', 'send'] },
        drop_table: { tier: 4, effects: ['delete', 'administer'] },
      },
      resources: { tier: 1 },
      prompts: { tier: 1 },
    },
    { kind: 'Template', name: 'all', allow: [{ tools: ['shop/*', 'shop#resources', 'shop#prompts'] }] },
    {
      kind: 'Template',
      name: 'refund-order',
      parameters: { order: { type: 'integer' }, customer: { type: 'string' } },
      allow: [{ tools: ['shop/get_order', 'shop/refund_order'], when: { order: '$order' } }],
    },
    ...Object.entries(options.policies ?? {}).map(([name, cedar]): ManifestInput => ({ kind: 'Policy', name, cedar })),
  ];
}
