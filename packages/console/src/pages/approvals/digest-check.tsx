import type { Approval } from '@gatehouse/protocol';
import { IconAlertTriangle, IconCheck } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { actionDigest } from '../../lib/exact-action.ts';
import classes from './approval.module.css';

/** Computes the digest again, here, from what is on the screen. */
export function DigestCheck({ approval }: { approval: Approval }) {
  const { data } = useQuery({
    queryKey: ['digests', approval.id, approval.digest],
    queryFn: () => actionDigest(approval),
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (data === undefined) return null;
  return data === approval.digest ? (
    <span className={classes.matches} title="This browser computed the digest from what is shown, and it is the same">
      <IconCheck size={14} aria-hidden /> is of what is shown here
    </span>
  ) : (
    <span className={classes.differs} role="alert">
      <IconAlertTriangle size={14} aria-hidden /> The digest is of another action than the one shown. Don’t approve it;
      tell your security team.
    </span>
  );
}
