import { IconPlugConnected } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { trustRulesQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { Card, Empty, Section } from '../../ui/page.tsx';
import { TrustRules } from '../identity/trust-rules.tsx';

/** Whose word counts for this agent. */
export function AgentTrustRules({ agent }: { agent: string }) {
  const session = useSession();
  const mayLook = needsRole(session, ['admin', 'security', 'auditor', 'developer'], '') === null;
  const all = useQuery({ ...trustRulesQuery, enabled: mayLook });
  const rules = all.data?.items.filter(({ manifest }) => manifest.agent === agent);
  if (!mayLook) return null;
  return (
    <Section
      title="Trust rules"
      count={rules?.length}
      actions={
        <Link to="/identity/trust-rules" className="gh-link">
          Test a token
        </Link>
      }
    >
      {rules?.length === 0 ? (
        <Card padded={false}>
          <Empty
            icon={IconPlugConnected}
            title="No outside issuer vouches for it"
            about="It proves itself with its keys. A TrustRule in the workspace’s files lets a platform vouch for it instead, without any secret."
          />
        </Card>
      ) : (
        <TrustRules rules={rules} error={all.error} retry={() => void all.refetch()} />
      )}
    </Section>
  );
}
