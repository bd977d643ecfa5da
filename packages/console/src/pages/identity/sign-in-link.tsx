import type { PersonView } from '@gatehouse/protocol';
import { Alert, Button, Checkbox } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../../api/client.ts';
import { useSession } from '../../app/session.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { Failure } from '../../ui/page.tsx';
import { Command } from '../../ui/text.tsx';
import { TimeLeft } from '../../ui/when.tsx';
import classes from './identity.module.css';

export function SignInLink({ person, close }: { person: PersonView; close: () => void }) {
  const session = useSession();
  const [recovery, setRecovery] = useState(false);
  const make = useMutation({
    mutationFn: () => call('POST /people/signin-links', { body: { email: person.email, recovery } }),
  });
  const isSelf = person.email === session.person.email;
  return (
    <Dialog title={`Sign-in link for ${person.displayName}`} close={close} size="lg">
      {make.data ? (
        <>
          <p>
            Give it to {person.email}, and to nobody else. It works once; <TimeLeft until={make.data.expiresAt} />. It
            is shown only here.
          </p>
          <Command>{make.data.url}</Command>
          <div className={classes.buttons}>
            <Button onClick={close}>Done</Button>
          </div>
        </>
      ) : (
        <>
          <p>
            {person.passkeys === 0
              ? `${person.email} has no passkey yet: the link lets them make the first one.`
              : `${person.email} has a passkey, so the link leads to it and opens nothing by itself.`}{' '}
            A newer link replaces an older one.
          </p>
          {person.passkeys > 0 && !isSelf && (
            <Checkbox
              size="sm"
              label="They have lost their passkeys (recovery)"
              checked={recovery}
              onChange={(event) => setRecovery(event.currentTarget.checked)}
            />
          )}
          {recovery && (
            <Alert color="orange" title="Whoever opens this link becomes this person">
              It makes a passkey that replaces all earlier ones, and ends every other session. Make sure by another way
              that it was {person.displayName} who asked.
            </Alert>
          )}
          {make.error && <Failure error={make.error} />}
          <div className={classes.buttons}>
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button loading={make.isPending} onClick={() => make.mutate()} data-autofocus>
              Make the link
            </Button>
          </div>
        </>
      )}
    </Dialog>
  );
}
