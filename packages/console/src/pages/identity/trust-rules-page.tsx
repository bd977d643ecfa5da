import { IconPlugConnected } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { trustRulesQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { commands } from '../../lib/commands.ts';
import { Card, Empty, Section } from '../../ui/page.tsx';
import { Command } from '../../ui/text.tsx';
import { IdentityPage } from './identity-page.tsx';
import { TestToken } from './test-token.tsx';
import { TrustRules } from './trust-rules.tsx';

export function TrustRulesPage() {
  const session = useSession();
  const rules = useQuery(trustRulesQuery);
  const obstacle = needsRole(session, ['admin', 'security', 'auditor', 'developer'], 'Looking at trust rules');
  return (
    <IdentityPage
      title="Trust rules"
      about="Which token of which outside issuer stands for which agent or workload. What no rule names is not believed, and no secret is shared."
    >
      <TestToken obstacle={obstacle} />
      <Section title="Rules" count={rules.data?.items.length}>
        {rules.data?.items.length === 0 ? (
          <Card padded={false}>
            <Empty
              icon={IconPlugConnected}
              title="No outside issuer is trusted"
              about="Declare a TrustRule: GitHub Actions, GitLab, Kubernetes, AWS, GCP, Azure, a SPIFFE domain or any OpenID issuer. Then nothing that runs there needs a secret."
            >
              <Command>{commands.apply()}</Command>
            </Empty>
          </Card>
        ) : (
          <TrustRules rules={rules.data?.items} error={rules.error} retry={() => void rules.refetch()} />
        )}
      </Section>
    </IdentityPage>
  );
}
