import type { SequencedRecord } from '@gatehouse/protocol';
import { call } from '../../api/client.ts';

export const fetchReceipt = ({ log, sequence }: SequencedRecord) =>
  call('GET /records/:log/:sequence/receipt', { params: { log, sequence } });
