import type { SignInRequest } from '@gatehouse/protocol';
import { Button } from '@mantine/core';
import { IconBan, IconBuilding, IconCheck, IconFingerprint } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { call } from '../../api/client.ts';
import { Failure } from '../../ui/page.tsx';
import classes from './consent.module.css';

interface Answer {
  mutate: () => void;
  isPending: boolean;
  error: Error | null;
}

interface ButtonsProps {
  proof: SignInRequest['proof'];
  words: { passkey: string; plain: string; no: string };
  yes: Answer;
  no: Answer;
}

/** Yes, with the proof that it is its person who says it, now; or no. */
export function AnswerButtons({ proof, words, yes, no }: ButtonsProps) {
  const reSignIn = useMutation({
    mutationFn: (provider: string) => call('POST /signin/provider', { body: { provider, next: location.pathname } }),
    onSuccess: ({ url }) => location.assign(url),
  });
  const busy = yes.isPending || no.isPending || reSignIn.isPending;
  return (
    <>
      <div className={classes.buttons}>
        {proof.by === 'provider' && !proof.fresh ? (
          <Button
            size="sm"
            leftSection={<IconBuilding size={17} />}
            loading={reSignIn.isPending}
            disabled={busy}
            onClick={() => reSignIn.mutate(proof.provider)}
          >
            Sign in with {proof.provider} again first
          </Button>
        ) : (
          <Button
            size="sm"
            leftSection={proof.by === 'passkey' ? <IconFingerprint size={17} /> : <IconCheck size={17} />}
            loading={yes.isPending}
            disabled={busy}
            onClick={() => yes.mutate()}
          >
            {proof.by === 'passkey' ? words.passkey : words.plain}
          </Button>
        )}
        <Button
          size="sm"
          variant="default"
          leftSection={<IconBan size={16} />}
          loading={no.isPending}
          disabled={busy}
          onClick={() => no.mutate()}
        >
          {words.no}
        </Button>
      </div>
      {[yes, no, reSignIn].map(({ error }) => error && <Failure key={error.message} error={error} />)}
    </>
  );
}
