import type { IncomingMessage } from 'node:http';
import type { GatewaySetting } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import type { Registry, Workload } from '../../registry/index.ts';
import type { Guard } from '../../storage/index.ts';
import type { Peers } from '../client-certificate/peers.ts';
import type { SvidVerifier } from '../client-certificate/svid-verifier.ts';
import { type NoteRefusal, noteRefused } from '../refusals.ts';

/** A workload that has proven itself, and that its manifest makes a gateway. */
export interface ProvenGateway {
  workload: Workload;
  gateway: GatewaySetting;
  /** The fences of all that lets it in, as they were before it was looked at (law 6). */
  guards: Guard[];
}

/**
 * How another gateway says who it is, at each request: by the X.509-SVID of its connection, its own or one that a trust rule lets stand for
 * it; or, where the request has one, by its JWT-SVID for this purpose alone (`audience`), as often as it likes while that lives. An agent's
 * token proves an agent and never a gateway.
 */
export type ProveGateway = (
  request: Pick<IncomingMessage, 'socket'>,
  how: { at: string; bearer?: string | undefined },
) => Promise<ProvenGateway>;

interface Dependencies {
  registry: Registry;
  peers: Pick<Peers, 'of'>;
  svids: SvidVerifier;
  publicUrl: string;
  noteRefusal: NoteRefusal;
}

/** The audience of JWT-SVIDs with which gateways ask for decisions: good for nothing else here. */
export const gatewayAudience = (publicUrl: string) => `${publicUrl}/access`;

export function createGatewayProofs({ registry, peers, svids, publicUrl, noteRefusal }: Dependencies): ProveGateway {
  const audience = gatewayAudience(publicUrl);

  async function nameOf(
    request: Pick<IncomingMessage, 'socket'>,
    bearer: string | undefined,
  ): Promise<{ name: string; rule?: string | undefined }> {
    if (bearer !== undefined) {
      const svid = await svids.verifyJwtSvid(bearer, audience);
      if (svid.audience.length !== 1) throw refused('svid.audience', `Its aud must be ${audience} and nothing else.`);
      const principal = svids.principalOf(svid.spiffeId);
      if (principal?.kind !== 'workload') throw noWorkload();
      const why = await svids.whyRefused(svid);
      if (why !== undefined) throw refused('svid.refused', `The SVID is refused: ${why}.`);
      return { name: principal.name };
    }
    const { certificate, problem } = await peers.of(request);
    if (!certificate)
      throw refused(
        'gateway.no-proof',
        problem ??
          `Prove which gateway this is: by its X.509-SVID over mutual TLS, or by its JWT-SVID for ${audience} as Bearer.`,
      );
    const { principal, rule, svid, stranger } = certificate;
    if (stranger !== undefined) throw refused('trust.no-match', stranger);
    if (principal?.kind !== 'workload') throw noWorkload();
    const why = rule === undefined ? await svids.whyRefused(svid) : undefined;
    if (why !== undefined) throw refused('svid.refused', `The SVID is refused: ${why}.`);
    return { name: principal.name, rule };
  }

  return async (request, { at, bearer }) => {
    try {
      const { fences } = registry.snapshot();
      const { name, rule } = await nameOf(request, bearer);
      const workload = registry.workloadAtWork(name);
      const { gateway } = workload.manifest;
      if (!gateway)
        throw new GatehouseError(
          'forbidden',
          'gateway.not-one',
          `The workload "${name}" is no gateway. An operator makes it one with \`gateway\` in its manifest.`,
        );
      const keys = [`workload:${name}`, ...(rule === undefined ? [] : [`trust-rule:${rule}`])];
      return { workload, gateway, guards: keys.map((key) => ({ key, version: fences.get(key) ?? 0 })) };
    } catch (error) {
      await noteRefused(noteRefusal, at, error);
      throw error;
    }
  };
}

const refused = (code: string, why: string) => new GatehouseError('unauthenticated', code, why);

const noWorkload = () =>
  new GatehouseError(
    'forbidden',
    'workload.not-one',
    'This proof stands for no workload, and decisions are given to gateways, which are workloads.',
  );
