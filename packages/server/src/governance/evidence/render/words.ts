import type { EvidenceReport, EvidenceStatus } from '@gatehouse/protocol';

export const statusWords: Record<EvidenceStatus, string> = {
  met: 'met',
  'not-met': 'not met',
  'no-data': 'nothing happened',
  'not-covered': 'not covered',
};

export const statuses: readonly EvidenceStatus[] = ['met', 'not-met', 'no-data', 'not-covered'];

export const tallyOf = ({ controls }: EvidenceReport) =>
  statuses.map((status) => ({ status, number: controls.filter((control) => control.status === status).length }));

export const dateOf = (time: string) => time.slice(0, 10);

export const howToVerify =
  'This report is in the log of the workspace: the record evidence.export has its digest. `gatehouse evidence verify DIRECTORY --key KEY` checks the digest, the record’s receipt and the receipts of the records named here, offline.';
