import type { ConsentView, SignInRequest } from '@gatehouse/protocol';
import { useMutation } from '@tanstack/react-query';
import { call } from '../../api/client.ts';
import { signInWithAssertion } from '../../api/passkeys.ts';
import { ApiError } from '../../api/problem.ts';
import { Card, Fact, Facts, Section } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { Warning } from '../../ui/warning.tsx';
import { AnswerButtons } from './answer-buttons.tsx';
import classes from './consent.module.css';

interface FormProps {
  consent: ConsentView;
  signIn: SignInRequest;
  onDone: (answer: 'yes' | 'no') => void;
  /** What was shown is not what is there any more, or is not fresh any more. */
  again: () => void;
}

/** A session of this person for a command line somewhere: who, from where, and what it will never do. */
export function SignInForm({ consent: { id }, signIn, onDone, again }: FormProps) {
  const { host, address, sameAddress, person, proof, ttlSeconds, digest } = signIn;
  const params = { id };
  const approve = useMutation({
    mutationFn: () =>
      proof.by === 'passkey'
        ? signInWithAssertion(id, digest)
        : call('POST /consents/:id/sign-in', { params, body: { digest } }),
    onSuccess: () => onDone('yes'),
    onError: (error) => {
      if (error instanceof ApiError && /^consent\.(changed|sign-in-again)$/.test(error.code)) again();
    },
  });
  const deny = useMutation({
    mutationFn: () => call('POST /consents/:id/deny', { params }),
    onSuccess: () => onDone('no'),
  });
  return (
    <>
      <Section title="Say yes to this">
        <Card>
          <p className={classes.statement}>
            Sign in the command line{' '}
            <strong>{host ? <PlainText text={host} /> : 'of a computer without a name'}</strong> at{' '}
            <strong>{address ?? 'an unknown address'}</strong>, as <strong>{person.displayName}</strong> ({person.email}
            ).
          </p>
          <Facts>
            <Fact name="It can">
              Read, stop and take away as your roles allow ({person.roles.join(', ') || 'none'}), for{' '}
              {Math.round(ttlSeconds / 3_600)} hours, and ask for the rest: you confirm that in a browser, each time.
              You can end it under Settings at any time.
            </Fact>
            <Fact name="It can never">
              Approve, consent, review definitions, enrol or change passkeys, or let anybody in: that needs you in a
              browser.
            </Fact>
          </Facts>
          {!sameAddress && (
            <Warning>
              It asked from another address than this browser’s. Go on only if it is another computer of yours, and you
              have just typed <code>gatehouse login</code> there. The name is only what it calls itself.
            </Warning>
          )}
        </Card>
      </Section>
      <AnswerButtons
        proof={proof}
        words={{ passkey: 'Sign it in with passkey', plain: 'Sign it in', no: 'Deny' }}
        yes={approve}
        no={deny}
      />
    </>
  );
}
