import type { Approval } from '@gatehouse/protocol';
import { columnsOf } from '@gatehouse/protocol/approval-kind';
import { Button, Checkbox } from '@mantine/core';
import { IconFingerprint } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { mayApprove, useSession } from '../../app/session.ts';
import { Declared, EnvironmentBadge, TierBadge } from '../../ui/badge.tsx';
import { notify } from '../../ui/notices.tsx';
import { Fact, Facts, Failure } from '../../ui/page.tsx';
import { Arguments, PlainText } from '../../ui/text.tsx';
import { TimeLeft } from '../../ui/when.tsx';
import classes from './approval.module.css';
import { ApprovalCard, nameOr } from './approval-card.tsx';

/** What is read before it is signed takes a while: so long for a start, and for each row. */
const READING_MS = { start: 1_500, row: 500, most: 15_000 };

/** Calls of one kind in one table: what they have in common once, what differs in columns. Each is ticked by itself; one gesture signs those. */
export function ListCard({ approvals }: { approvals: Approval[] }) {
  const session = useSession();
  const queries = useQueryClient();
  const [ticked, setTicked] = useState<ReadonlySet<string>>(new Set());
  const [apart, setApart] = useState(false);
  const [first] = approvals;
  const chosen = approvals.filter(({ id }) => ticked.has(id));
  const waitMs = useReadingTime(chosen);
  const approve = useMutation({
    mutationFn: async () => (await import('../../api/passkeys.ts')).approveListWithPasskey(chosen),
    onSuccess: (after) => {
      setTicked(new Set());
      void queries.invalidateQueries({ queryKey: ['approvals'] });
      void queries.invalidateQueries({ queryKey: ['actions'] });
      const message = `${after.length} calls of ${first?.tool}, each exactly as shown, once.`;
      notify({ color: 'green', title: 'Approved', message });
    },
    onError: () => void queries.invalidateQueries({ queryKey: ['approvals'] }),
  });
  const columns = columnsOf(approvals) ?? [];
  if (!first) return null;
  if (apart) return approvals.map((each) => <ApprovalCard key={each.id} approval={each} />);
  const obstacle = approvals.map((each) => mayApprove(session, each)).find((each) => each !== null) ?? null;
  const common = Object.fromEntries(
    Object.entries(first.arguments as Record<string, unknown>).filter(([name]) => !columns.includes(name)),
  );
  const tick = (id: string, on: boolean) =>
    setTicked((before) => {
      const after = new Set(before);
      if (on) after.add(id);
      else after.delete(id);
      return after;
    });
  return (
    <article className={classes.card} data-state="pending" aria-labelledby={`${first.id}-list`}>
      <header className={classes.head}>
        <h3 id={`${first.id}-list`}>
          {approvals.length} calls of <span className="gh-mono">{first.tool}</span> by {first.agent}
        </h3>
        <TierBadge tier={first.decision.tier} />
        <EnvironmentBadge name={first.environment} />
        <Button size="compact-sm" variant="default" onClick={() => setApart(true)}>
          Show them one by one
        </Button>
      </header>
      <div className={classes.list}>
        <p className={classes.reason}>{first.decision.reason}</p>
        <Facts>
          {first.delegated?.user && <Fact name="For">{nameOr(first.delegated.user)}</Fact>}
          {first.rules.length > 0 && <Fact name="Rules">{first.rules.map(({ name }) => name).join(', ')}</Fact>}
          <Fact name="Its task has read">{readBy(first)}</Fact>
        </Facts>
        <div className={classes.declared}>
          <Declared />
          <Facts>
            <Fact name="Intent">
              <PlainText text={first.intent} />
            </Fact>
            <Fact name="Asked for by">{nameOr(first.requestedBy)}</Fact>
            <Fact name="On behalf of">{nameOr(first.onBehalfOf)}</Fact>
          </Facts>
        </div>
        {Object.keys(common).length > 0 && (
          <>
            <p className="gh-quiet">The same in all of them:</p>
            <Arguments value={common} />
          </>
        )}
        <table className={classes.rows} aria-label={`Calls of ${first.tool}`}>
          <thead>
            <tr>
              <th>Approve</th>
              {columns.map((name) => (
                <th key={name}>
                  <PlainText text={name} />
                </th>
              ))}
              <th>Runs out</th>
              <th>Why it is here</th>
            </tr>
          </thead>
          <tbody>
            {approvals.map((each) => (
              <tr key={each.id}>
                <td>
                  <Checkbox
                    aria-label={`Approve ${each.id}`}
                    checked={ticked.has(each.id)}
                    disabled={obstacle !== null || approve.isPending}
                    onChange={(event) => tick(each.id, event.currentTarget.checked)}
                  />
                </td>
                {columns.map((name) => (
                  <td key={name}>
                    <PlainText text={shownOf(each.arguments, name)} />
                  </td>
                ))}
                <td>
                  <TimeLeft until={each.expiresAt} />
                </td>
                <td>
                  <Link to="/approvals/$id" params={{ id: each.id }} className="gh-link" data-row-link="">
                    {each.risk.reasons[0] ?? 'look at it'}
                  </Link>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {chosen.length > 0 && (
          <p role="status">
            You sign {chosen.length} {chosen.length === 1 ? 'call' : 'calls'}
            {columns
              .map((name) => summaryOf(chosen, name))
              .filter(Boolean)
              .map((words) => `; ${words}`)}
            . Each can run once, exactly as it stands here.
          </p>
        )}
        <div className={classes.buttons}>
          <Button
            size="sm"
            leftSection={<IconFingerprint size={17} />}
            loading={approve.isPending}
            disabled={obstacle !== null || chosen.length < 2 || waitMs > 0}
            onClick={() => approve.mutate()}
            data-key="a"
          >
            {waitMs > 0
              ? `Read them first (${Math.ceil(waitMs / 1_000)} s)`
              : `Approve ${chosen.length} with one passkey gesture`}
          </Button>
          {obstacle && <span className={classes.obstacle}>{obstacle}</span>}
          {chosen.length === 1 && <span className={classes.obstacle}>One alone is approved on its own page.</span>}
        </div>
        {approve.error && <Failure error={approve.error} />}
      </div>
    </article>
  );
}

function readBy({ decision: { situation } }: Approval): string {
  const read = [...(situation?.sensitive ?? []), ...(situation?.untrusted ? ['untrusted content'] : [])];
  return read.length > 0 ? read.join(', ') : 'nothing that counts';
}

function shownOf(args: unknown, name: string): string {
  const value = (args as Record<string, unknown>)[name];
  return value === undefined ? 'left out' : typeof value === 'string' ? value : JSON.stringify(value);
}

/** `order: 12 different`, or the sum where all are numbers. */
function summaryOf(chosen: readonly Approval[], name: string): string {
  const values = chosen.map(({ arguments: args }) => (args as Record<string, unknown>)[name]);
  const different = new Set(values.map((value) => JSON.stringify(value))).size;
  const sum = values.every((value) => typeof value === 'number') ? values.reduce((all, each) => all + each, 0) : null;
  return `${name}: ${different} different${sum === null ? '' : `, ${sum} in all`}`;
}

/** How long until what is ticked can have been read; begins again with every row. */
function useReadingTime(chosen: readonly Approval[]): number {
  const [now, setNow] = useState(Date.now);
  const [since, setSince] = useState(Date.now);
  const count = chosen.length;
  // biome-ignore lint/correctness/useExhaustiveDependencies: each row ticked is read
  useEffect(() => setSince(Date.now()), [count]);
  const left = count < 2 ? 0 : since + Math.min(READING_MS.most, READING_MS.start + READING_MS.row * count) - now;
  useEffect(() => {
    if (count < 2) return;
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, [count]);
  return Math.max(0, left);
}
