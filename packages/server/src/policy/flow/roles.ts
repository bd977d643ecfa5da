import type { ArgumentRole, Effect } from '@gatehouse/protocol';
import { isJsonObject, type Json } from '../../platform/index.ts';
import type { RegisteredTool } from '../../registry/index.ts';

/** What reaches out, or can't be undone. */
export const graveEffects: readonly Effect[] = ['send', 'pay', 'delete', 'export', 'deploy', 'administer'];

/** Roles of what a call is about or goes to. Amounts are apart: they can be worked out. */
export const graveRoles: readonly ArgumentRole[] = [
  'recipient',
  'account',
  'url',
  'path',
  'identifier',
  'credential',
  'command',
];

/** Roles of what something goes to. */
export const destinationRoles: readonly ArgumentRole[] = ['recipient', 'account', 'url'];

/**
 * The call leaves out every destination that its tool takes, and an operator has said that it then reaches nobody new. Nothing else says so: a
 * tool without a destination, or one that goes somewhere by default, reaches whom it likes.
 */
export function reachesNobody({ labels }: Pick<RegisteredTool, 'labels'>, given: Json): boolean {
  const destinations = flowArguments(labels.roles).destinations;
  return (
    destinations.length > 0 &&
    isJsonObject(given) &&
    destinations.every((each) => {
      const value = Object.hasOwn(given, each) ? given[each] : null;
      const isNothing = value === null || value === '' || (Array.isArray(value) && value.length === 0);
      return isNothing && labels.nobodyWithout.includes(each);
    })
  );
}

/** Arguments of a tool by what the flow rules ask of them: attributes of its entity. */
export interface FlowArguments {
  grave: string[];
  amounts: string[];
  contents: string[];
  urls: string[];
  destinations: string[];
}

export const flowArgumentNames = ['grave', 'amounts', 'contents', 'urls', 'destinations'] as const;

export function flowArguments(roles: Readonly<Record<string, ArgumentRole>>): FlowArguments {
  const of = (wanted: readonly ArgumentRole[]) =>
    Object.keys(roles).filter((argument) => wanted.includes(roles[argument] as ArgumentRole));
  return {
    grave: of(graveRoles),
    amounts: of(['amount']),
    contents: of(['content']),
    urls: of(['url']),
    destinations: of(destinationRoles),
  };
}

/** Groups of actions beside those of effects. */
export const flowGroups = ['grave', 'takes-url'] as const;

export function flowGroupsOf(
  effects: readonly Effect[],
  roles: Readonly<Record<string, ArgumentRole>>,
): (typeof flowGroups)[number][] {
  const isGrave = effects.some((effect) => graveEffects.includes(effect)) && Object.keys(roles).length > 0;
  const takesUrl = Object.values(roles).includes('url');
  return [...(isGrave ? (['grave'] as const) : []), ...(takesUrl ? (['takes-url'] as const) : [])];
}
