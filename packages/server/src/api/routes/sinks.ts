import { sinkBodies } from '@gatehouse/protocol';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type Route, route } from '../route.ts';

export function sinkRoutes({ sinks }: ApiDependencies): Route[] {
  return [
    route('GET /sinks', everyone, 'Receivers of the record, and how far each has come', {}, async () => ({
      items: await sinks.list(),
    })),
    route(
      'GET /sinks/:name',
      everyone,
      'One of them, with its positions and what it refused for good',
      {},
      ({ param }) => sinks.show(param('name')),
    ),
    route('POST /sinks/:name/test', 'secure', 'Send it a made-up event now', {}, ({ caller, param }) =>
      sinks.test(param('name'), caller.by),
    ),
    route('POST /sinks/:name/pause', 'secure', 'Send it nothing until it is resumed', {}, ({ caller, param }) =>
      sinks.pause(param('name'), caller.by),
    ),
    route('POST /sinks/:name/resume', 'secure', 'Go on where it was paused', {}, ({ caller, param }) =>
      sinks.resume(param('name'), caller.by),
    ),
    route(
      'POST /sinks/:name/let-go',
      'secure',
      'Let records go by their age that it has not taken until now',
      {},
      ({ caller, param }) => sinks.letGo(param('name'), caller.by),
    ),
    route(
      'POST /sinks/:name/replay',
      'secure',
      'Send records again, from a time or a place of a log',
      { body: sinkBodies.replay },
      ({ caller, param, body }) => sinks.replay(param('name'), body, caller.by),
    ),
  ];
}
