import type { HttpCaller } from './call.ts';
import { cutOffEchoes } from './cut-off-echoes.ts';

/** draft-ietf-oauth-transaction-tokens, "Using Txn-Tokens". */
export const txnTokenHeader = 'txn-token';

/** The draft's "Logging" keeps it out of records. Without its signature it may come back. */
export const keepsTxnToken =
  (callHttp: HttpCaller): HttpCaller =>
  (request, sizes, handlers) => {
    const signature = request.headers[txnTokenHeader]?.split('.')[2];
    return cutOffEchoes(callHttp, signature, 'the transaction token of the call')(request, sizes, handlers);
  };
