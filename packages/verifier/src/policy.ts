/**
 * Whose cosignatures make a checkpoint good enough: a trust policy file (c2sp.org/tlog-policy). Names of witnesses and groups mean
 * nothing outside of the file.
 */

import { VerifierError } from './merkle.ts';
import { parseVerifierKey, SIGNATURE_TYPE, type VerifierKey } from './note.ts';

const MAX_POLICY_CHARS = 64 * 1024;
/** Of logs, of witnesses, and of groups. */
const MAX_OF_A_KIND = 64;

export type Witness = { name: string; key: VerifierKey; url: string | null };

export type Policy = {
  logs: { key: VerifierKey; url: string | null }[];
  witnesses: Witness[];
  /** Whether cosignatures by these keys are enough. */
  isMet(by: readonly VerifierKey[]): boolean;
  /** The quorum in words, for messages: `2 of X1, X2, X3`. */
  quorum: string;
};

/** At least `k` of the witnesses with these keys; one that is named twice counts once. */
export function quorumOf(k: number, keys: readonly VerifierKey[]): Policy {
  const distinct = keys.filter((key, at) => !hasSigned(key, keys.slice(0, at)));
  const witnesses = distinct.map((key) => ({ name: key.name, key, url: null }));
  const isMet: Policy['isMet'] = (by) => witnesses.filter(({ key }) => hasSigned(key, by)).length >= k;
  return { logs: [], witnesses, isMet, quorum: `${k} of ${keys.map(({ name }) => name).join(', ') || 'none'}` };
}

type Member = { isMet: Policy['isMet']; quorum: string };

/** Throws `VerifierError`, naming the line. */
export function parsePolicy(text: string): Policy {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: but tabs and line ends a policy must not contain them.
  if (text.length > MAX_POLICY_CHARS || /[\x00-\x08\x0b-\x1f\x7f]/.test(text))
    throw wrong(0, 'a character is not allowed');
  const policy: Omit<Policy, 'isMet' | 'quorum'> = { logs: [], witnesses: [] };
  const defined = new Map<string, Member>();
  const inGroup = new Set<string>();
  let quorum: Member | undefined;

  const define = (line: number, name: string, member: Member) => {
    if (name === 'none' || defined.has(name)) throw wrong(line, `the name ${name} is taken`);
    defined.set(name, member);
  };
  const keyAt = (line: number, vkey: string, type: number, others: readonly { key: VerifierKey }[]): VerifierKey => {
    let key: VerifierKey;
    try {
      key = parseVerifierKey(vkey);
    } catch (error) {
      throw error instanceof VerifierError ? wrong(line, error.message) : error;
    }
    if (key.type !== type) throw wrong(line, 'the type of the key is of the other kind');
    if (others.length === MAX_OF_A_KIND) throw wrong(line, `there are more than ${MAX_OF_A_KIND}`);
    if (others.some((other) => hasSigned(other.key, [key]))) throw wrong(line, 'this key is there twice');
    return key;
  };

  for (const [at, written] of text.split('\n').entries()) {
    const line = at + 1;
    const [word = '', ...rest] = written.split(/[ \t]+/).filter((each) => each !== '');
    if (word === '' || word.startsWith('#')) continue;
    const [first, second, third] = rest;
    if (word === 'log' && first && rest.length <= 2) {
      policy.logs.push({ key: keyAt(line, first, SIGNATURE_TYPE.ed25519, policy.logs), url: second ?? null });
    } else if (word === 'witness' && first && second && rest.length <= 3) {
      const key = keyAt(line, second, SIGNATURE_TYPE.cosignature, policy.witnesses);
      policy.witnesses.push({ name: first, key, url: third ?? null });
      define(line, first, { isMet: (by) => hasSigned(key, by), quorum: first });
    } else if (word === 'group' && first && second && third) {
      const names = rest.slice(2);
      const members = names.map((name) => {
        const member = defined.get(name);
        if (!member) throw wrong(line, `${name} is not defined above`);
        if (inGroup.has(name)) throw wrong(line, `${name} is in a group already`);
        inGroup.add(name);
        return member;
      });
      const k = second === 'any' ? 1 : second === 'all' ? members.length : Number(second);
      if (!/^(any|all|[1-9]\d*)$/.test(second) || k > members.length) throw wrong(line, `${second} is no threshold`);
      const isMet: Policy['isMet'] = (by) => members.filter((member) => member.isMet(by)).length >= k;
      define(line, first, { isMet, quorum: `${k} of (${members.map((each) => each.quorum).join(', ')})` });
    } else if (word === 'quorum' && first && rest.length === 1) {
      if (quorum) throw wrong(line, 'there are two quorums');
      quorum = first === 'none' ? { isMet: () => true, quorum: 'none' } : defined.get(first);
      if (!quorum) throw wrong(line, `${first} is not defined above`);
    } else throw wrong(line, 'this line is not one of log, witness, group, quorum, as they are spelled');
  }
  if (!quorum) throw wrong(0, 'there is no quorum');
  return { ...policy, ...quorum };
}

/** By the public key alone: a name that differs makes no other witness. */
const hasSigned = (key: VerifierKey, by: readonly VerifierKey[]): boolean =>
  by.some(({ publicKey }) => publicKey.every((byte, at) => byte === key.publicKey[at]));

const wrong = (line: number, why: string): VerifierError =>
  new VerifierError('format', `the policy is malformed${line > 0 ? `, line ${line}` : ''}: ${why}`);
