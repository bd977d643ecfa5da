import { createDepartures, offboard } from '../governance/index.ts';
import {
  createAgentDirectory,
  createCompanySignIn,
  createCompanySignInDoor,
  createDirectory,
  createScimDoor,
  createScimTokens,
  relyingPartyOf,
} from '../identity/index.ts';
import type { ChokePoint } from './choke-point.ts';
import type { Foundation } from './foundation.ts';
import type { Identities } from './identity.ts';
import type { Workspace } from './workspace.ts';

/** What the company's own provider says of people: how they sign in, who is there, and who has left. */
export function openDirectory(
  { config, storage, sealer, recordChange, outbound, clock, log }: Foundation,
  { registry }: Workspace,
  { people, identity }: Identities,
  { approvals, secrets }: ChokePoint,
) {
  const companySignIn = createCompanySignIn({
    storage,
    registry,
    recordChange,
    sealer,
    outbound,
    openSecret: secrets.open,
    clock,
    log,
    publicUrl: config.publicUrl,
    people,
    clientKeys: identity.clientKeys,
  });
  const companySignInDoor = createCompanySignInDoor(companySignIn, relyingPartyOf(config.publicUrl), log);
  const leaving = { storage, registry, approvals, recordChange, people, delegations: identity.delegations };
  const scimTokens = createScimTokens({ storage, recordChange, clock });
  const directory = createDirectory({
    storage,
    registry,
    recordChange,
    clock,
    publicUrl: config.publicUrl,
    offboard: (email, how) => offboard(leaving, email, how),
  });
  const scimDoor = createScimDoor({
    directory,
    agents: config.scimAgents
      ? createAgentDirectory({ storage, registry, recordChange, clock, publicUrl: config.publicUrl })
      : undefined,
    tokens: scimTokens,
    log,
    publicUrl: config.publicUrl,
  });
  const departures = createDepartures({
    ...leaving,
    onFailure: (error, person) => log.error('a departure could not be completed and is tried again', { person, error }),
  });
  return { companySignIn, companySignInDoor, leaving, scimTokens, scimDoor, departures };
}
