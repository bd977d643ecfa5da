import type { LocalClient } from '../types.ts';
import { awsContainer, awsProcess } from './aws.ts';
import { docker } from './docker.ts';
import { gcp } from './gcp.ts';
import { git } from './git.ts';
import { kubectl } from './kubectl.ts';
import { plain } from './plain.ts';
import { createVault } from './vault.ts';

/** Every kind of client, one file each. */
export const createClients = (): LocalClient[] => [
  plain,
  git,
  docker,
  kubectl,
  awsContainer,
  awsProcess,
  gcp,
  createVault(),
];
