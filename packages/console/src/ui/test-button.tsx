import { IconSend } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { explain } from '../api/problem.ts';
import { needsRole, useSession } from '../app/session.ts';
import { AllowedButton } from './allowed-button.tsx';
import { notify } from './notices.tsx';

interface TestButtonProps {
  name: string;
  /** `a channel`. */
  what: string;
  /** Which queries show how it went. */
  refresh: string;
  /** Sends something that asks for nothing. */
  send: () => Promise<{ ok: boolean; tookMs: number; why: string | null }>;
}

/** Tries a place that things are sent to, and says how that went. */
export function TestButton({ name, what, refresh, send }: TestButtonProps) {
  const queries = useQueryClient();
  const obstacle = needsRole(useSession(), ['admin', 'security'], `Trying ${what}`);
  const test = useMutation({
    mutationFn: send,
    onSettled: (answer, error) => {
      void queries.invalidateQueries({ queryKey: [refresh] });
      const message = error ? explain(error).detail : answer?.ok ? `Taken in ${answer.tookMs} ms` : answer?.why;
      notify({ color: answer?.ok ? 'green' : 'red', title: `Test of ${name}`, message });
    },
  });
  return (
    <AllowedButton
      leftSection={<IconSend size={14} />}
      obstacle={obstacle}
      disabled={test.isPending}
      onClick={() => test.mutate()}
    >
      Send a test
    </AllowedButton>
  );
}
