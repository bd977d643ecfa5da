import { bodies } from '@gatehouse/protocol';
import { makeEvidence } from '../../governance/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type Route, route } from '../route.ts';
import { instant } from '../search-query.ts';

export function evidenceRoutes({ storage, ledger, registry, approvals, clock, config, log }: ApiDependencies): Route[] {
  const { publicUrl } = config;
  return [
    route(
      'POST /evidence',
      'oversee',
      'What the workspace’s own data shows of the controls of a framework',
      { body: bodies.makeEvidence },
      ({ body, caller }) =>
        makeEvidence(
          { storage, ledger, registry, approvals, clock, publicUrl, log },
          {
            framework: body.framework,
            from: instant(body.from, 'from', clock.now(), 'UTC'),
            to: instant(body.to, 'to', clock.now(), 'UTC'),
            by: caller.by,
          },
        ),
    ),
  ];
}
