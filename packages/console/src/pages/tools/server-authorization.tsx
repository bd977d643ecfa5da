import type { ServerView, UpstreamAuthorizationView } from '@gatehouse/protocol';
import { Button } from '@mantine/core';
import { IconAlertTriangle, IconCircleCheck, IconCircleDashed, IconPlugOff } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../../api/client.ts';
import { explain } from '../../api/problem.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { actorName } from '../../lib/words.ts';
import { Badge } from '../../ui/badge.tsx';
import { Confirm } from '../../ui/dialog.tsx';
import { notify } from '../../ui/notices.tsx';
import { When } from '../../ui/when.tsx';
import classes from './tools.module.css';

/** How Gatehouse is let in at a tool server that wants OAuth of it: one line for each environment. */
export function ServerAuthorization({ server }: { server: ServerView }) {
  const [disconnecting, setDisconnecting] = useState<string | null>(null);
  if (server.authorization.length === 0) return null;
  return (
    <ul className={classes.authorizations} aria-label={`Authorization at ${server.name}`}>
      {server.authorization.map((view) => (
        <Line key={view.environment} server={server.name} view={view} disconnect={setDisconnecting} />
      ))}
      {disconnecting !== null && (
        <Disconnect server={server.name} environment={disconnecting} close={() => setDisconnecting(null)} />
      )}
    </ul>
  );
}

const states = {
  idle: { label: 'Not needed yet', hue: 'gray', icon: IconCircleDashed },
  authorized: { label: 'Authorized', hue: 'green', icon: IconCircleCheck },
  'not-connected': { label: 'Not connected', hue: 'amber', icon: IconPlugOff },
  failing: { label: 'Failing', hue: 'red', icon: IconAlertTriangle },
} as const;

const grants: Record<UpstreamAuthorizationView['grant'], string> = {
  client_credentials: 'in its own name',
  jwt_bearer: 'with a signed statement (JWT)',
  enterprise_managed: 'through the company’s identity provider',
  authorization_code: 'by a person’s consent',
};

interface LineProps {
  server: string;
  view: UpstreamAuthorizationView;
  disconnect: (environment: string) => void;
}

function Line({ server, view, disconnect }: LineProps) {
  const { environment, grant, state, issuer, scopes, bound, expiresAt, connectedBy, connectedAt, lastError } = view;
  const session = useSession();
  const mayConnect = needsRole(session, ['admin'], 'Connecting a server');
  const mayCut = needsRole(session, ['admin', 'security'], 'Disconnecting a server');
  const connect = useMutation({
    mutationFn: () => call('POST /servers/:name/connect', { params: { name: server }, body: { environment } }),
    // Only an address that the server gave: that of the authorization server.
    onSuccess: ({ url }) => location.assign(url),
    onError: (error) => notify({ color: 'red', title: explain(error).title, message: explain(error).detail }),
  });
  const { label, hue, icon } = states[state];
  return (
    <li>
      <div>
        <Badge hue={hue} icon={icon}>
          {label}
        </Badge>{' '}
        {environment}, {grants[grant]}
        {issuer !== null && (
          <>
            {' '}
            at <code>{issuer}</code>
          </>
        )}
        <small className={classes.detail}>
          {scopes.length > 0 && `scopes ${scopes.join(' ')} · `}
          {state === 'authorized' && (bound ? 'token bound to a key (DPoP)' : 'bearer token')}
          {expiresAt !== null && (
            <>
              {' '}
              · runs out <When at={expiresAt} as="relative" />
            </>
          )}
          {connectedBy !== null && connectedAt !== null && (
            <>
              {' '}
              · connected by {actorName(connectedBy)} <When at={connectedAt} as="relative" />
            </>
          )}
        </small>
        {lastError !== null && state !== 'authorized' && <small className={classes.lastError}>{lastError}</small>}
      </div>
      <span className={classes.moves}>
        {grant === 'authorization_code' && (
          <Button
            variant={state === 'authorized' ? 'default' : 'filled'}
            loading={connect.isPending}
            disabled={mayConnect !== null}
            title={mayConnect ?? 'Opens the authorization server, where you grant the access'}
            onClick={() => connect.mutate()}
          >
            {state === 'authorized' ? 'Connect again' : 'Connect'}
          </Button>
        )}
        {state === 'authorized' && (
          <Button
            variant="default"
            disabled={mayCut !== null}
            title={mayCut ?? undefined}
            onClick={() => disconnect(environment)}
          >
            Disconnect
          </Button>
        )}
      </span>
    </li>
  );
}

function Disconnect({ server, environment, close }: { server: string; environment: string; close: () => void }) {
  const queries = useQueryClient();
  const disconnect = useMutation({
    mutationFn: () => call('POST /servers/:name/disconnect', { params: { name: server }, body: { environment } }),
    onSuccess: ({ revoked }) => {
      void queries.invalidateQueries({ queryKey: ['servers'] });
      notify({
        message: revoked
          ? `${server} is disconnected, and its authorization server has revoked the access.`
          : `${server} is disconnected. Its authorization server could not revoke the access: do it there.`,
      });
      close();
    },
  });
  return (
    <Confirm
      title={`Disconnect ${server} in ${environment}?`}
      button="Disconnect"
      pending={disconnect.isPending}
      error={disconnect.error}
      submit={() => disconnect.mutate()}
      close={close}
    >
      <p>
        The access is forgotten and revoked, and open connections are cut. Calls to its tools fail until it is connected
        again.
      </p>
    </Confirm>
  );
}
