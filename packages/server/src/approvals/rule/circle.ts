import type { ApproverSource, PersonManifest } from '@gatehouse/protocol';
import { groupsOf, type Snapshot } from '../../registry/index.ts';
import { onCallAt } from './on-call.ts';

/** Somebody who may speak for somebody else for a time. */
export interface Deputyship {
  id: string;
  person: string;
  deputy: string;
  from: number;
  until: number;
  madeBy: string;
}

/** Who people are now. */
export interface Circle {
  snapshot: Pick<Snapshot, 'people' | 'groups' | 'onCall' | 'channels'>;
  /** Those that were not taken back. */
  deputies: Iterable<Deputyship>;
}

/** What is asked about, as far as it decides who may answer. */
export interface Question {
  /** The agent's owner now. */
  owner: string;
  /** Whether this is the address of somebody who asked for it or for whom it is done. */
  wants(email: string): boolean;
  /** Who wrote or shipped the policies that decided. */
  policyAuthors: readonly string[];
  createdAt: number;
  /** The longest time of escalation that has been recorded; 0: none. */
  escalatedSeconds: number;
}

/** Whether somebody is among those whom this names. Who is on call is asked of the moment of the answer, all else of now. */
export function isAmong(
  source: ApproverSource,
  person: PersonManifest,
  at: number,
  question: Pick<Question, 'owner'>,
  { snapshot }: Circle,
): boolean {
  if (source === 'owner') return person.email === question.owner;
  const cut = source.indexOf(':');
  const [kind, name] = [source.slice(0, cut), source.slice(cut + 1)];
  switch (kind) {
    case 'person':
      return name === person.email;
    case 'role':
      return (person.roles as readonly string[]).includes(name);
    case 'group':
      return groupsOf(snapshot, person.email).includes(name);
    case 'on-call': {
      const rota = snapshot.onCall.get(name);
      return rota !== undefined && onCallAt(rota, at) === person.email;
    }
    default:
      return false;
  }
}

/** Everybody whom these name. */
export function whoIsAmong(
  sources: Iterable<ApproverSource>,
  at: number,
  question: Pick<Question, 'owner'>,
  circle: Circle,
): Set<string> {
  const all = [...sources];
  const found = new Set<string>();
  for (const person of circle.snapshot.people.values())
    if (all.some((source) => isAmong(source, person, at, question, circle))) found.add(person.email);
  return found;
}
