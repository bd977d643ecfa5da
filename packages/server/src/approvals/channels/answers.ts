import type { Approval, ChannelManifest } from '@gatehouse/protocol';
import { type Clock, GatehouseError } from '../../platform/index.ts';
import type { DatabaseTransaction, RecordChange, Sealer, Storage } from '../../storage/index.ts';
import { channelLimits } from './limits.ts';
import { serves } from './outbox.ts';
import { toldProblem } from './told.ts';
import type { Answer, Outcome } from './types.ts';

/** Part of the transaction that decides: used up and decided together, or neither. */
export type UseUp = (transaction: DatabaseTransaction) => Promise<void>;

/** What may be done with an answer; every refusal of these is on record with the person. */
export interface Answering {
  deny(id: string, person: string, reason: string, channel: string, useUp: UseUp): Promise<Approval>;
  approveThrough(id: string, person: string, channel: string, answer: Answer, useUp: UseUp): Promise<Approval>;
}

interface AnswerDependencies {
  storage: Storage;
  recordChange: RecordChange;
  sealer: Sealer;
  clock: Clock;
  approval(id: string): Promise<Approval | undefined>;
}

/** Turns what was said in a channel into a decision of a person, once. What is refused is on record with who tried. */
export function createAnswers({ storage, recordChange, sealer, clock, approval }: AnswerDependencies) {
  let answering: Answering | undefined;

  async function requireNew(channel: string, message: string): Promise<void> {
    const heard = await storage.db
      .selectFrom('channel_messages')
      .select('message')
      .where('channel', '=', channel)
      .where('message', '=', message)
      .executeTakeFirst();
    if (heard) throw replayed();
  }

  /** For as long as something could be decided on it. */
  async function useUp(
    transaction: DatabaseTransaction,
    channel: string,
    { message, until = 0 }: Answer,
    of: Approval | undefined,
  ): Promise<void> {
    const expires_at = Math.max(clock.now() + channelLimits.replaySeconds * 1_000, of?.expiresAt ?? 0, until);
    const used = await transaction
      .insertInto('channel_messages')
      .values({ channel, message, expires_at })
      .onConflict((conflict) => conflict.columns(['channel', 'message']).doNothing())
      .returning('message')
      .executeTakeFirst();
    if (!used) throw replayed();
  }

  async function decide(manifest: ChannelManifest, answer: Answer): Promise<Approval> {
    const port = answering;
    if (!port) throw new GatehouseError('unavailable', 'channel.starting', 'The server is starting. Try again.');
    const of = await approval(answer.approval);
    try {
      await requireNew(manifest.name, answer.message);
      return await carryOut(manifest, answer, of, port);
    } catch (error) {
      // What failed here was not heard: the channel says it again, or we ask again.
      if (isRefusal(error)) await noteRefusal(manifest, answer, of, error);
      throw error;
    }
  }

  async function carryOut(
    manifest: ChannelManifest,
    answer: Answer,
    of: Approval | undefined,
    port: Answering,
  ): Promise<Approval> {
    const { name, people } = manifest;
    const refuse = (code: string, words: string) => new GatehouseError('forbidden', code, words);
    if (!of) throw new GatehouseError('not-found', 'approval.not-found', 'There is no such approval.');
    if (!serves(manifest, of)) throw refuse('channel.not-asked', `The channel ${name} does not tell of this approval.`);
    if (answer.saidTo !== undefined && !(await wasSent(name, of, answer.saidTo)))
      throw refuse('channel.other-message', `That was not said to a message of ${name} about this approval.`);
    const person = Object.hasOwn(people, answer.who) ? people[answer.who] : undefined;
    if (person === undefined)
      throw refuse(
        'channel.person-unknown',
        `The channel ${name} does not say who "${answer.who.slice(0, 100)}" is here. An admin names them in its manifest.`,
      );
    const used: UseUp = (transaction) => useUp(transaction, name, answer, of);
    if (answer.decision === 'deny') return port.deny(of.id, person, answer.reason, name, used);
    if (answer.weak !== undefined)
      throw refuse('channel.weak', `A yes in ${name} does not count here: ${answer.weak}. Approve it on its page.`);
    return port.approveThrough(of.id, person, name, answer, used);
  }

  /** Whether the place calls one of our messages about this very action so. */
  async function wasSent(channel: string, { id, digest }: Approval, reference: string): Promise<boolean> {
    const row = await storage.db
      .selectFrom('deliveries')
      .selectAll()
      .where('approval', '=', id)
      .where('channel', '=', channel)
      .where('event', '=', 'asked')
      .where('state', '=', 'sent')
      .where('reference', '=', reference)
      .executeTakeFirst();
    return row !== undefined && toldProblem(sealer, row, digest) === null;
  }

  /** A refused message is used up. What was refused as a decision of a person is on record with them; the rest is here. */
  async function noteRefusal(
    { name }: ChannelManifest,
    answer: Answer,
    of: Approval | undefined,
    error: GatehouseError,
  ): Promise<void> {
    const { who, decision, approval: id, isLooked } = answer;
    const isReplay = error.code === 'channel.replayed';
    // We ask again and again, and hear the same.
    if (isReplay && isLooked) return;
    await storage.transaction(async (transaction) => {
      if (!isReplay) await useUp(transaction, name, answer, of).catch(ignoreReplay);
      if (of && !error.code.startsWith('channel.')) return;
      await recordChange(transaction, {
        ...(of && {
          action: of.actionId,
          agent: of.agent,
          task: of.task,
          tool: of.tool,
          environment: of.environment,
          approval: of.id,
        }),
        operation: `approval.${decision}.refuse`,
        by: `channel:${name}`,
        changes: [`said by ${who.slice(0, 100)}`, ...(of ? [] : [`of ${id.slice(0, 100)}`])],
        detail: `${error.code}: ${error.message}`,
      });
    });
  }

  return {
    start(port: Answering): void {
      answering = port;
    },

    async take(manifest: ChannelManifest, answer: Answer): Promise<Outcome> {
      try {
        return { approval: await decide(manifest, answer) };
      } catch (error) {
        if (!isRefusal(error)) throw error;
        return { refused: { status: error.status, code: error.code, detail: error.message } };
      }
    },
  };
}

const replayed = () => new GatehouseError('conflict', 'channel.replayed', 'This message was heard before.');
const isRefusal = (error: unknown): error is GatehouseError => error instanceof GatehouseError && error.status < 500;
/** The same was refused on another replica at this moment. */
function ignoreReplay(error: unknown): void {
  if ((error as GatehouseError).code !== 'channel.replayed') throw error;
}
