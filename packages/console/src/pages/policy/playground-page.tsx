import type { SupposedCall } from '@gatehouse/protocol';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useSearch } from '@tanstack/react-router';
import { call } from '../../api/client.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { Failure } from '../../ui/page.tsx';
import { CallForm } from './call-form.tsx';
import { Explanation } from './explanation.tsx';
import { PolicyPage } from './policy-page.tsx';

/** What the policies say of a call that nobody makes, or of an action of the record. Nothing is sent, and nothing is recorded. */
export function PlaygroundPage() {
  const { action, template } = useSearch({ from: '/house/policy/playground' });
  return (
    <PolicyPage
      title="Playground"
      about={
        action === undefined
          ? 'What the policies in force say of a call that nobody makes, condition by condition. Nothing is sent, and nothing is recorded.'
          : 'What the policies in force say of an action of the record, condition by condition. What was known around it then is taken as unknown.'
      }
    >
      {action === undefined ? <Playground template={template} /> : <OfAction action={action} />}
    </PolicyPage>
  );
}

function Playground({ template }: { template: string | undefined }) {
  const obstacle = needsRole(useSession(), ['admin', 'security', 'auditor', 'developer'], 'Trying a call');
  const explain = useMutation({
    mutationFn: (supposed: SupposedCall) => call('POST /policy/explain', { body: toBody(supposed) }),
    gcTime: 0,
  });
  return (
    <>
      <CallForm template={template} obstacle={obstacle} pending={explain.isPending} submit={explain.mutate} />
      {explain.error && <Failure error={explain.error} />}
      {explain.data && <Explanation explanation={explain.data} />}
    </>
  );
}

const toBody = (supposed: SupposedCall) => ({ call: supposed });

function OfAction({ action }: { action: string }) {
  const explanation = useQuery({
    queryKey: ['policy-explain', action],
    queryFn: () => call('POST /policy/explain', { body: { action } }),
    retry: false,
  });
  return (
    <>
      <p>
        <Link to="/actions/$id" params={{ id: action }} className="gh-link">
          The action and its records
        </Link>{' '}
        ·{' '}
        <Link to="/policy/playground" search={{}} className="gh-link">
          Try another call
        </Link>
      </p>
      {explanation.error && <Failure error={explanation.error} retry={() => void explanation.refetch()} />}
      {explanation.data && <Explanation explanation={explanation.data} />}
    </>
  );
}
