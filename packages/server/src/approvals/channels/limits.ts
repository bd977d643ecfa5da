export const channelLimits = {
  /** Deliveries of one channel that wait; what comes beyond is kept as dead, so that a channel that hangs stays bounded. */
  waitingPerChannel: 1_000,
  /** Deliveries of one channel that are under way at once on one replica. */
  atOnce: 4,
  /** People, or browsers of people, who are told of one approval through one channel. */
  recipients: 100,
  /** Stuck credentials of which one channel is told in an hour; `gatehouse status` counts all, and the record has each. */
  stuckPerHour: 10,
  /** The longest that one delivery may take. */
  sendTimeoutMs: 15_000,
  /** A delivery that a replica has begun and not finished in this time is taken over. */
  takeOverMs: 60_000,
  /** Wait before the first repetition; it doubles, with a random part. */
  firstRetryMs: 1_000,
  /** The longest wait between two tries. */
  longestRetryMs: 300_000,
  /** Tries of one delivery. One that asks also ends with its approval. */
  attempts: 12,
  /** What was delivered, dropped or given up is shown for this long. */
  keepDays: 7,
  /** Characters of the arguments in a message; the page has them whole. */
  argumentChars: 1_500,
  /** Characters of a name, an intent or a reason in a message. */
  lineChars: 300,
  /** The risk of an approval (its `score`) from which on a notification is urgent: a device that saves power is woken for it. */
  urgentRisk: 25,
  /** A notification that nobody is needed any more is of use for this long, to browsers that still show that somebody is. */
  closedSeconds: 3_600,
  /** Bytes of a notification before it is encrypted; longer text is cut. */
  pushBytes: 3_500,
  /** Messages of one channel that are asked about at a time, where answers have to be asked for. */
  looksAtOnce: 50,
  /** A place's clock may be behind ours by this much. */
  clockSkewSeconds: 60,
  /** How often they are asked about. */
  lookEverySeconds: 5,
  /** One message from a channel. */
  messageBytes: 65_536,
  /** A message from a channel that was heard is refused again for this long, longer than its signature is good for. */
  replaySeconds: 900,
};
