import { IconPlayerPlay } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { call } from '../../api/client.ts';
import { explain } from '../../api/problem.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { duration } from '../../lib/time.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { Badge } from '../../ui/badge.tsx';
import { PlainText } from '../../ui/text.tsx';

/** Has one made for nobody and ended, and says beside the button how long both took, or what is wrong. */
export function TestProvider({ name }: { name: string }) {
  const queries = useQueryClient();
  const obstacle = needsRole(useSession(), ['admin'], 'Testing a provider');
  const test = useMutation({
    mutationFn: () => call('POST /providers/:name/test', { params: { name } }),
    onSettled: () => {
      for (const key of ['providers', 'leases']) void queries.invalidateQueries({ queryKey: [key] });
    },
  });
  const problem = test.error ? explain(test.error).detail : test.data?.problem;
  return (
    <>
      <AllowedButton
        size="compact-xs"
        leftSection={<IconPlayerPlay size={13} />}
        obstacle={obstacle}
        loading={test.isPending}
        onClick={() => test.mutate()}
        aria-label={`Test ${name}`}
      >
        Test
      </AllowedButton>{' '}
      <span role="status">
        {test.data?.ok && (
          <Badge hue="green">
            {test.data.issueMs === null
              ? 'its client is known there'
              : `issued in ${duration(test.data.issueMs)}, ${
                  test.data.revokeMs === null
                    ? 'given to nobody; it can’t be taken back there'
                    : `verified gone after ${duration(test.data.revokeMs)}`
                }`}
          </Badge>
        )}
        {problem && (
          <span className="gh-break">
            {test.data?.issueMs == null ? 'Nothing was issued: ' : `Issued in ${duration(test.data.issueMs)}, then: `}
            <PlainText text={problem} />
          </span>
        )}
      </span>
    </>
  );
}
