import type { DefinitionView } from '@gatehouse/protocol';
import { Button } from '@mantine/core';
import { IconBan, IconCheck } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { call } from '../../api/client.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { kindLabel, titleOf } from '../../lib/definitions.ts';
import { Badge } from '../../ui/badge.tsx';
import { notify } from '../../ui/notices.tsx';
import { Failure } from '../../ui/page.tsx';
import { Identifier, PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import { DefinitionDiff } from './definition-diff.tsx';
import classes from './tools.module.css';

/** One served definition that nobody has approved: how it differs, and a yes or no to exactly what is shown. */
export function ReviewCard({ definition }: { definition: DefinitionView }) {
  const { kind, server, name, approved, served, seenAt, reason } = definition;
  return (
    <article className={classes.card} aria-label={titleOf(definition)}>
      <header className={classes.head}>
        <h3>
          <Link to="/tools/$server" params={{ server }} search={{ kind, name }} data-row-link="" className="gh-mono">
            <PlainText text={titleOf(definition)} />
          </Link>
        </h3>
        <Badge hue="gray">{kindLabel(kind)}</Badge>
        <Badge hue="amber">{approved ? 'Changed' : 'New'}</Badge>
        <span className="gh-quiet">
          seen <When at={seenAt} as="relative" />
        </span>
      </header>
      {reason && (
        <p className={classes.why}>
          <PlainText text={reason} />
        </p>
      )}
      {served && <DefinitionDiff approved={approved?.body} served={served.body} />}
      {served && <Review definition={definition} digest={served.digest} />}
    </article>
  );
}

export function Review({ definition, digest }: { definition: DefinitionView; digest: string }) {
  const session = useSession();
  const queries = useQueryClient();
  const obstacle = needsRole(session, ['admin', 'security'], 'Reviewing a definition');
  const review = useMutation({
    mutationFn: (decision: 'approve' | 'reject') => {
      const { server, kind, name } = definition;
      return call('POST /definitions/review', { body: { server, kind, name, decision, digest } });
    },
    onSuccess: (_, decision) =>
      notify({
        color: decision === 'approve' ? 'green' : 'gray',
        title: decision === 'approve' ? 'Approved' : 'Rejected',
        message:
          decision === 'approve'
            ? `Agents see ${titleOf(definition)} in its new form from now on.`
            : `${titleOf(definition)} stays held back.`,
      }),
    // Also after a refusal: the server may serve something else by now.
    onSettled: () => {
      for (const key of ['definitions', 'tools', 'servers']) void queries.invalidateQueries({ queryKey: [key] });
    },
  });
  return (
    <footer className={classes.foot}>
      <span className={classes.digest}>
        As shown: <Identifier value={digest} what="digest" short />
      </span>
      <Button
        leftSection={<IconCheck size={15} />}
        loading={review.isPending && review.variables === 'approve'}
        disabled={obstacle !== null || review.isPending}
        title={obstacle ?? undefined}
        onClick={() => review.mutate('approve')}
      >
        Approve this definition
      </Button>
      <Button
        variant="default"
        leftSection={<IconBan size={15} />}
        loading={review.isPending && review.variables === 'reject'}
        disabled={obstacle !== null || review.isPending}
        title={obstacle ?? undefined}
        onClick={() => review.mutate('reject')}
      >
        Reject
      </Button>
      {review.error && <Failure error={review.error} />}
    </footer>
  );
}
