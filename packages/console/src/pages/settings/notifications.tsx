import type { PushSubscriptionView } from '@gatehouse/protocol';
import { ActionIcon, Button, Checkbox, Group } from '@mantine/core';
import { IconBell, IconBellOff, IconSend } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../../api/client.ts';
import { type PushHere, pushHere, turnPushOff, turnPushOn } from '../../api/push.ts';
import { pushQuery, pushSubscriptionsQuery } from '../../api/queries.ts';
import { deviceName } from '../../lib/device.ts';
import { Badge } from '../../ui/badge.tsx';
import { DataTable } from '../../ui/data-table.tsx';
import { Card, Empty, Failure, Section } from '../../ui/page.tsx';
import { When } from '../../ui/when.tsx';
import classes from './settings.module.css';

/** Which of one's browsers tell what waits, this one first. */
export function Notifications() {
  const queries = useQueryClient();
  const setUp = useQuery(pushQuery);
  const subscriptions = useQuery(pushSubscriptionsQuery);
  const here = useQuery({ queryKey: ['push-here'], queryFn: pushHere });
  const refresh = () => {
    void queries.invalidateQueries({ queryKey: ['push-subscriptions'] });
    void queries.invalidateQueries({ queryKey: ['push-here'] });
  };
  const turnOff = useMutation({ mutationFn: turnPushOff, onSettled: refresh });
  const test = useMutation({
    mutationFn: ({ id }: PushSubscriptionView) => call('POST /push/subscriptions/:id/test', { params: { id } }),
    onSettled: refresh,
  });
  const items = subscriptions.data?.items;
  const digest = here.data?.state === 'on' ? here.data.digest : undefined;
  const isOn = items?.some(({ endpointDigest }) => endpointDigest === digest) ?? false;
  const error = turnOff.error ?? test.error ?? setUp.error ?? here.error;
  return (
    <Section title="Notifications" count={items?.length}>
      {here.data && setUp.data && items && !isOn && (
        <TurnOn here={here.data} publicKey={setUp.data.publicKey} refresh={refresh} />
      )}
      {error && <Failure error={error} />}
      {test.data && (
        <p className={classes.hint} role="status">
          {test.data.ok
            ? 'The push service has taken a test. It shows in a moment.'
            : `Not delivered: ${test.data.error}`}
        </p>
      )}
      <DataTable
        label="Browsers that notify you"
        rows={items}
        rowKey={({ id }) => id}
        columns={[
          {
            header: 'Browser',
            cell: ({ userAgent, endpointDigest, stays }) => (
              <span title={userAgent}>
                {deviceName(userAgent)} {endpointDigest === digest && <Badge hue="green">this one</Badge>}{' '}
                {stays && <Badge hue="gray">also when signed out</Badge>}
              </span>
            ),
          },
          { header: 'By way of', cell: ({ service }) => service, hide: 'medium' },
          { header: 'On since', cell: ({ createdAt }) => <When at={createdAt} />, hide: 'medium' },
          {
            header: 'Last told',
            cell: ({ sentAt }) => (sentAt === null ? 'never' : <When at={sentAt} as="relative" />),
          },
          {
            header: '',
            align: 'end',
            cell: (each) => (
              <Group gap={4} justify="end" wrap="nowrap">
                <ActionIcon
                  aria-label={`Send a test to ${deviceName(each.userAgent)}`}
                  title="Send a test"
                  loading={test.isPending && test.variables.id === each.id}
                  onClick={() => test.mutate(each)}
                >
                  <IconSend size={16} />
                </ActionIcon>
                <ActionIcon
                  aria-label={`Turn off in ${deviceName(each.userAgent)}`}
                  title="Turn off"
                  loading={turnOff.isPending && turnOff.variables.id === each.id}
                  onClick={() => turnOff.mutate(each)}
                >
                  <IconBellOff size={16} />
                </ActionIcon>
              </Group>
            ),
          },
        ]}
        error={subscriptions.error}
        retry={() => void subscriptions.refetch()}
        empty={
          <Empty
            icon={IconBell}
            title="No browser notifies you"
            about="A notification says that an agent waits for you, and leads to its page. It approves nothing: that takes your passkey."
          />
        }
      />
    </Section>
  );
}

const obstacles: Partial<Record<PushHere['state'], string>> = {
  unsupported: 'This browser can’t notify you: it has no Web Push, or this page came without https.',
  'install-first':
    'On iPhone and iPad notifications come to the installed app only: Share, Add to Home Screen, open Gatehouse from there, and turn them on.',
  denied:
    'This browser was told to show no notifications of this site. Allow them in its settings for the site, and load this page again.',
};

function TurnOn({ here, publicKey, refresh }: { here: PushHere; publicKey: string | null; refresh: () => void }) {
  const [stays, setStays] = useState(false);
  const turnOn = useMutation({ mutationFn: (key: string) => turnPushOn(key, stays), onSettled: refresh });
  const obstacle =
    publicKey === null
      ? 'Notifications are not set up here. An admin applies a Channel with `push: {}`.'
      : obstacles[here.state];
  if (obstacle !== undefined || publicKey === null) return <p className={classes.hint}>{obstacle}</p>;
  return (
    <Card>
      <div className={classes.form}>
        <p>Be told in this browser when an agent waits for you, also while the console is closed.</p>
        <Checkbox
          label="Also when I have signed out of this browser"
          checked={stays}
          onChange={(event) => setStays(event.currentTarget.checked)}
        />
        {turnOn.error && <Failure error={turnOn.error} />}
        <Group>
          <Button
            leftSection={<IconBell size={15} />}
            loading={turnOn.isPending}
            onClick={() => turnOn.mutate(publicKey)}
          >
            Turn on in this browser
          </Button>
        </Group>
      </div>
    </Card>
  );
}
