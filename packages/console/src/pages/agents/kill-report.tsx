import type { KillResult } from '@gatehouse/protocol';
import { secondsWords } from '@gatehouse/protocol/residual';
import { Button } from '@mantine/core';
import { IconAlertTriangle, IconCircleCheck } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { duration } from '../../lib/time.ts';
import { plural } from '../../lib/words.ts';
import { Fact, Facts } from '../../ui/page.tsx';
import classes from './kill.module.css';

/** What the kill did, and what it could not reach: said as plainly as it is known. */
export function KillReport({ result, close }: { result: KillResult; close: () => void }) {
  const {
    agent,
    acknowledged,
    expired,
    cancelledApprovals,
    endedTasks,
    tookMs,
    residualSeconds,
    endedLeases,
    openLeases,
  } = result;
  return (
    <div className={classes.form}>
      <p className={classes.done} role="status">
        <IconCircleCheck size={20} aria-hidden />
        <span>
          Stopped on {plural(acknowledged.length, 'replica')} in <strong>{duration(tookMs)}</strong>
        </span>
      </p>
      <Facts>
        <Fact name="Acknowledged by">{acknowledged.join(', ') || 'none'}</Fact>
        {expired.length > 0 && (
          <Fact name="Cut off">
            {expired.join(', ')}: no answer, but without the feed {expired.length === 1 ? 'it denies' : 'they deny'}{' '}
            everything by itself
          </Fact>
        )}
        <Fact name="Tasks ended">{endedTasks}</Fact>
        <Fact name="Approvals cancelled">{cancelledApprovals}</Fact>
        <Fact name="Credentials ended">
          {endedLeases}
          {openLeases > 0 && `; ${openLeases} not verified to be gone yet`}
        </Fact>
        <Fact name="Still usable">
          {residualSeconds === 0
            ? 'nothing: no credential is out in the world'
            : residualSeconds === null
              ? 'what is open with a credential, until its provider, once it is back, or who it was opened at ends it'
              : `a credential already handed out, for ${secondsWords(residualSeconds)} at most`}
        </Fact>
      </Facts>
      {residualSeconds !== 0 && (
        <p className={classes.obstacle}>
          <IconAlertTriangle size={15} aria-hidden /> Watch what that credential reaches until then.
        </p>
      )}
      <div className={classes.buttons}>
        <Button
          component={Link}
          variant="default"
          size="sm"
          to={`/agents/${encodeURIComponent(agent)}`}
          onClick={close}
        >
          What it did
        </Button>
        <Button size="sm" onClick={close} data-autofocus>
          Done
        </Button>
      </div>
    </div>
  );
}
