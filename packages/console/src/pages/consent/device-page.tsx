import { Button, TextInput } from '@mantine/core';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { Card, Page } from '../../ui/page.tsx';
import classes from './consent.module.css';

/** Where a device without a browser sends people (RFC 8628): the code that it shows leads to the consent page. */
export function DevicePage() {
  const { user_code: given = '' } = useSearch({ from: '/house/device' });
  const [code, setCode] = useState(given);
  const navigate = useNavigate();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const plain = code.toUpperCase().replaceAll(/[^A-Z0-9]/g, '');
    if (plain !== '') void navigate({ to: '/consent/$id', params: { id: `device-${plain}` } });
  };
  return (
    <Page title="Connect a device" about="Type the code that the device shows. Never one that somebody has sent you.">
      <Card>
        <form onSubmit={submit} className={classes.device}>
          <TextInput
            label="Code"
            placeholder="XXXX-XXXX"
            value={code}
            onChange={(event) => setCode(event.currentTarget.value)}
            maxLength={20}
            required
            autoFocus
            autoComplete="off"
          />
          <Button type="submit" size="sm">
            Go on
          </Button>
        </form>
      </Card>
    </Page>
  );
}
