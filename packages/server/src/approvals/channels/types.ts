import type { Approval, ChannelManifest, ChannelType } from '@gatehouse/protocol';
import type { People, PushKeys, PushSubscriptions } from '../../identity/index.ts';
import type { Clock, Json, Outbound, Secret } from '../../platform/index.ts';
import type { DatabaseTransaction } from '../../storage/index.ts';
import type { Message } from './message.ts';

/** What every channel works with. */
export interface Tools {
  outbound: Pick<Outbound, 'fetch' | 'fetchJson'>;
  openSecret(name: string, destination: string): Promise<Secret>;
  clock: Clock;
  publicUrl: string;
  people: Pick<People, 'mailLinks'>;
  push: PushTools;
}

/** The browsers of people, and what proves to their push services who sends. */
export interface PushTools extends Pick<PushSubscriptions, 'recipients' | 'find' | 'forget' | 'noteSent' | 'sweep'> {
  key: PushKeys['key'];
}

/** One message to one recipient. A repetition has the same id. */
export interface Delivery {
  id: string;
  recipient: string;
  /** Of the message that is to be changed. */
  reference: string | null;
}

/** What a message asks about: a place keeps it with the message, so that no other message can stand in for it. */
export interface About {
  id: string;
  digest: string;
  createdAt: number;
  /** The message as it was sent. */
  message(): Promise<Message>;
}

/** A request that came for a channel, read and bounded, not yet believed. */
export interface Heard {
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: string;
}

/** What somebody said through a channel, after the channel has made sure that it was said there. */
export interface Answer {
  /** What the channel calls this message: a second one is a replay. */
  message: string;
  approval: string;
  decision: 'approve' | 'deny';
  reason: string;
  /** What they have seen, where the channel can say so. */
  digest?: string | undefined;
  /** Who, as the channel knows them. */
  who: string;
  /** When it was said, where the place knows. */
  at?: number;
  /** The message of ours that it was said to, as the place calls it. */
  saidTo?: string;
  /** Why a yes there is worth too little, where it is. */
  weak?: string;
  /** Until when the place would take this message again. */
  until?: number;
  /** We asked for it, and do so again. */
  isLooked?: true;
  /** All that was verified: the text and its signature. Kept with a yes. */
  evidence: Json;
}

/** What became of a message that people answer where it is. */
export type Looked = Omit<Answer, 'approval' | 'digest' | 'isLooked'> & { at: number };

export interface Reply {
  status: number;
  body?: Json;
}

/** What became of an answer, or why nothing did. */
export type Outcome = { approval: Approval } | { refused: { status: number; code: string; detail: string } };

/** A place where people are. What is optional is what not every place can do. */
export interface Channel {
  /** Gives what is needed to change the message later. Throws `NotDeliverable` where trying again would not help. */
  send(message: Message, delivery: Delivery): Promise<string | null>;
  /** Changes what was sent: nobody is needed any more. */
  close?(message: Message, delivery: Delivery): Promise<void>;
  /** Who gets a message of their own, out of those who may decide. Without it there is one message for all. */
  recipients?(transaction: DatabaseTransaction, people: readonly string[]): Promise<string[]> | string[];
  /** What a request from there says. Throws unless it is from there. `Reply`: a request that answers nothing. */
  hear?(heard: Heard): Promise<Answer | Reply | { look: string }>;
  /** What it shows is too little to say yes to: it reminds of the page. */
  isReminder?: boolean;
  /** Asks the place what people have said to this message; `open`: it says that nobody has. `look` of `hear` is its reference: it is time to ask. */
  look?(delivery: Delivery, about: About): Promise<Looked | 'open' | null>;
  /** Its requests come with an `Authorization` of their own, which `hear` verifies. */
  takesAuthorization?: boolean;
  /** How the place wants to be told what became of an answer. */
  reply?(outcome: Outcome, answer: Answer): Promise<Reply> | Reply;
}

export type OpenChannel = (manifest: ChannelManifest, tools: Tools) => Channel;
export type ChannelKinds = Record<ChannelType, OpenChannel>;

/** The place refuses this message, and will refuse it again. */
export class NotDeliverable extends Error {}

/** There is no such recipient any more. */
export class NobodyThere extends NotDeliverable {}

/** The place asks for patience. */
export class TryLater extends Error {
  readonly afterMs: number;

  constructor(message: string, afterMs: number) {
    super(message);
    this.afterMs = afterMs;
  }
}
