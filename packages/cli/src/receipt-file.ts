import { readFile } from 'node:fs/promises';
import type { ApprovalProof, Receipt } from '@gatehouse/protocol';
import { CliFailure } from './failure.ts';

/** What `log receipt` writes: every record of one action, each with its proof. */
export interface ReceiptFile {
  format: 'gatehouse-receipt/1';
  action: string;
  receipts: Receipt[];
  /** Of the approvals that its dispatches name: who said yes, to what exactly. */
  approvals?: ApprovalProof[];
  /** Of the passkeys by which a second person has agreed to what the records say was done. */
  enrolments?: Receipt[];
}

/** Throws CliFailure (`noInput`). What is in it is proven by nothing yet. */
export async function readReceiptFile(path: string): Promise<ReceiptFile> {
  const bad = (why: string, cause?: unknown) =>
    new CliFailure('noInput', 'receipt.unreadable', `${path} ${why}.`, { cause });
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw bad(code === undefined ? 'is no JSON' : `cannot be read (${code})`, cause);
  }
  if (!isReceiptFile(value)) throw bad('is no receipt that `gatehouse log receipt` wrote');
  return value;
}

function isReceiptFile(value: unknown): value is ReceiptFile {
  if (typeof value !== 'object' || value === null) return false;
  const { format, action, receipts, approvals = [], enrolments = [] } = value as Partial<ReceiptFile>;
  return (
    format === 'gatehouse-receipt/1' &&
    typeof action === 'string' &&
    Array.isArray(receipts) &&
    receipts.length > 0 &&
    Array.isArray(approvals) &&
    approvals.every((each: unknown) => typeof each === 'object' && each !== null) &&
    Array.isArray(enrolments) &&
    [...receipts, ...enrolments].every(isReceipt)
  );
}

const isReceipt = (each: unknown): each is Receipt =>
  typeof each === 'object' &&
  each !== null &&
  ['entry', 'proof', 'vkey', 'log'].every((name) => typeof (each as Record<string, unknown>)[name] === 'string');
