import type { Approval, ChannelManifest } from '@gatehouse/protocol';
import { type Clock, GatehouseError } from '../../platform/index.ts';
import type { RecordChange, Storage } from '../../storage/index.ts';
import { channelLimits } from './limits.ts';
import { serves } from './outbox.ts';
import type { Answer, Outcome } from './types.ts';

/** What may be done with an answer; every refusal of these is on record with the person. */
export interface Answering {
  deny(id: string, person: string, reason: string, channel: string): Promise<Approval>;
  approveThrough(id: string, person: string, channel: string, answer: Answer): Promise<Approval>;
}

interface AnswerDependencies {
  storage: Storage;
  recordChange: RecordChange;
  clock: Clock;
  approval(id: string): Promise<Approval | undefined>;
}

/** Turns what was said in a channel into a decision of a person, once. What is refused is on record with who tried. */
export function createAnswers({ storage, recordChange, clock, approval }: AnswerDependencies) {
  let answering: Answering | undefined;

  /** INVARIANT: the message is used up before anything is decided on it, for as long as something could be. */
  async function useUp(channel: string, { message, until = 0 }: Answer, of: Approval | undefined): Promise<void> {
    const expires_at = Math.max(clock.now() + channelLimits.replaySeconds * 1_000, of?.expiresAt ?? 0, until);
    const used = await storage.transaction((transaction) =>
      transaction
        .insertInto('channel_messages')
        .values({ channel, message, expires_at })
        .onConflict((conflict) => conflict.columns(['channel', 'message']).doNothing())
        .returning('message')
        .executeTakeFirst(),
    );
    if (!used) throw new GatehouseError('conflict', 'channel.replayed', 'This message was heard before.');
  }

  /** What failed here was not heard: the channel says it again. */
  async function giveBack(channel: string, message: string): Promise<void> {
    await storage.transaction((transaction) =>
      transaction
        .deleteFrom('channel_messages')
        .where('channel', '=', channel)
        .where('message', '=', message)
        .execute(),
    );
  }

  async function decide(manifest: ChannelManifest, answer: Answer): Promise<Approval> {
    const port = answering;
    if (!port) throw new GatehouseError('unavailable', 'channel.starting', 'The server is starting. Try again.');
    const of = await approval(answer.approval);
    try {
      await useUp(manifest.name, answer, of);
      try {
        return await carryOut(manifest, answer, of, port);
      } catch (error) {
        if (!isRefusal(error)) await giveBack(manifest.name, answer.message);
        throw error;
      }
    } catch (error) {
      if (isRefusal(error)) await note(manifest, answer, of, error);
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
    if (!of) throw new GatehouseError('not-found', 'approval.not-found', 'There is no such approval.');
    if (!serves(manifest, of))
      throw new GatehouseError('forbidden', 'channel.not-asked', `The channel ${name} does not tell of this approval.`);
    const person = Object.hasOwn(people, answer.who) ? people[answer.who] : undefined;
    if (person === undefined)
      throw new GatehouseError(
        'forbidden',
        'channel.person-unknown',
        `The channel ${name} does not say who "${answer.who.slice(0, 100)}" is here. An admin names them in its manifest.`,
      );
    return answer.decision === 'deny'
      ? port.deny(of.id, person, answer.reason, name)
      : port.approveThrough(of.id, person, name, answer);
  }

  /** What was refused as a decision of a person is on record with them; the rest is here. */
  async function note(
    { name }: ChannelManifest,
    { who, decision, approval: id, isLooked }: Answer,
    of: Approval | undefined,
    error: GatehouseError,
  ) {
    if (of && !error.code.startsWith('channel.')) return;
    // We ask again and again, and hear the same.
    if (isLooked && error.code === 'channel.replayed') return;
    await storage.transaction((transaction) =>
      recordChange(transaction, {
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
      }),
    );
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

const isRefusal = (error: unknown): error is GatehouseError => error instanceof GatehouseError && error.status < 500;
