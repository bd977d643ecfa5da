import { z } from 'zod';
import { canonicalJson, digestJson, type Json, parseStrictJson, Secret } from '../platform/index.ts';
import type { Sealer } from '../storage/index.ts';

/**
 * A yes that was said in a channel, as it is kept: what the channel has verified, and a seal of this house over all of it. It is worth what the
 * channel's own identity is worth, and nobody can verify it without us: a passkey's yes is another thing (evidence.ts).
 */
const channelYes = z.strictObject({
  v: z.literal(2),
  approval: z.string(),
  digest: z.string(),
  person: z.string(),
  channel: z.string(),
  /** As the channel knows them. */
  who: z.string(),
  at: z.number(),
  /** What was verified: a text and its signature, or claims. */
  verified: z.json(),
  seal: z.string(),
});
export type ChannelYes = z.infer<typeof channelYes>;

const contextOf = (approval: string) => `approval-yes:${approval}`;

/** As it is kept. The seal is of what only replicas hold: who edits the database makes no yes. */
export function sealYes(yes: Omit<ChannelYes, 'v' | 'seal'>, sealer: Sealer): string {
  const content = { v: 2 as const, ...yes };
  const sealed = sealer.seal(new Secret(digestJson(content as Json)), contextOf(yes.approval));
  return canonicalJson({ ...content, seal: Buffer.from(sealed).toString('base64url') } as Json);
}

/** Says what is wrong with it, or null. */
export function channelYesProblem(
  text: string,
  of: { id: string; digest: string; decidedBy: string | null },
  sealer: Sealer | undefined,
): string | null {
  if (!sealer) return 'nothing here can verify what was said in a channel';
  try {
    const { seal, ...content } = channelYes.parse(parseStrictJson(Buffer.from(text)));
    if (content.approval !== of.id || content.digest !== of.digest) return 'it is about another approval';
    if (content.person !== of.decidedBy) return 'it is of another person';
    const sealed = sealer.open(Buffer.from(seal, 'base64url'), contextOf(of.id));
    return sealed.equals(digestJson(content as Json)) ? null : 'its seal is of something else';
  } catch (error) {
    return `it cannot be read: ${(error as Error).message}`;
  }
}

/** Where and by whom it was said; undefined for a passkey's. */
export function saidIn(text: string | null): Pick<ChannelYes, 'channel' | 'who'> | undefined {
  const yes = text === null ? undefined : channelYes.safeParse(JSON.parse(text)).data;
  return yes && { channel: yes.channel, who: yes.who };
}

/** The channel that it was said in; undefined for a passkey's. */
export const channelOf = (text: string | null): string | undefined => saidIn(text)?.channel;
