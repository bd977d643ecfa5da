import type { ReplayResult } from '@gatehouse/protocol';
import { Button } from '@mantine/core';
import { IconHistory } from '@tabler/icons-react';
import { useEffect, useRef, useState } from 'react';
import { type Rehearsed, rehearse } from '../../api/rehearse.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { Failure } from '../../ui/page.tsx';
import { ReplayDiff } from './replay-diff.tsx';
import { UsageBar } from './usage-bar.tsx';

interface RehearseProps {
  change: Rehearsed;
  ready?: boolean;
  /** One that was made before. */
  kept?: ReplayResult | null;
  done?: () => void;
}

/** Decides again what was recorded in the last 30 days, as it would be with the change. It can be stopped; leaving the page stops it. */
export function Rehearse({ change, ready = true, kept = null, done }: RehearseProps) {
  const obstacle = needsRole(useSession(), ['admin', 'security', 'auditor', 'developer'], 'Rehearsing a change');
  const running = useRef<AbortController>(undefined);
  const [progress, setProgress] = useState<{ decisions: number; share: number }>();
  const [result, setResult] = useState<ReplayResult>();
  const [error, setError] = useState<unknown>();
  useEffect(() => () => running.current?.abort(), []);

  async function run() {
    const control = new AbortController();
    running.current = control;
    setError(undefined);
    setResult(undefined);
    setProgress({ decisions: 0, share: 0 });
    try {
      setResult(await rehearse(change, setProgress, control.signal));
      done?.();
    } catch (cause) {
      if (!control.signal.aborted) setError(cause);
    } finally {
      setProgress(undefined);
    }
  }

  const shown = result ?? kept;
  return (
    <div style={{ display: 'grid', gap: 12 }}>
      <div style={{ display: 'flex', flexWrap: 'wrap', alignItems: 'center', gap: 12 }}>
        <AllowedButton
          obstacle={obstacle}
          leftSection={<IconHistory size={15} />}
          disabled={!ready || progress !== undefined}
          onClick={() => void run()}
        >
          {shown ? 'Rehearse again' : 'Rehearse on the last 30 days'}
        </AllowedButton>
        {progress && (
          <>
            <span role="status">
              <UsageBar percent={progress.share * 100} words={`${progress.decisions.toLocaleString('en')} decisions`} />
            </span>
            <Button variant="default" onClick={() => running.current?.abort()}>
              Stop
            </Button>
          </>
        )}
      </div>
      {error !== undefined && <Failure error={error} />}
      {shown && !progress && <ReplayDiff result={shown} />}
    </div>
  );
}
