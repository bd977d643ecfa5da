import type { ToolSetting } from '@gatehouse/protocol';
import type { ToolLabels } from './types.ts';

/** Of a tool of which no operator said anything: nothing about it is vouched for. */
export const unlabelled: ToolLabels = Object.freeze({
  domain: null,
  roles: Object.freeze({}),
  nobodyWithout: Object.freeze([]),
  returns: Object.freeze({ trust: 'untrusted', sensitive: Object.freeze([]), fields: Object.freeze({}) }),
  store: null,
  idempotent: false,
  idempotencyArgument: null,
  limitArgument: null,
  keepMarkup: false,
  hold: null,
});

export function labelsOf(setting: ToolSetting | undefined): ToolLabels {
  if (!setting) return unlabelled;
  const { domain, returns, store, limitArgument, keepMarkup, hold } = setting;
  const { idempotent, idempotencyArgument } = setting;
  return {
    domain: domain ?? null,
    roles: Object.fromEntries(Object.entries(setting.arguments ?? {}).map(([argument, { role }]) => [argument, role])),
    nobodyWithout: Object.entries(setting.arguments ?? {}).flatMap(([argument, { leftOut }]) =>
      leftOut === 'nobody' ? [argument] : [],
    ),
    returns: returns
      ? { trust: returns.trust, sensitive: returns.sensitive, fields: returns.fields ?? {} }
      : unlabelled.returns,
    store: store ?? null,
    idempotent: idempotent ?? false,
    idempotencyArgument: idempotencyArgument ?? null,
    limitArgument: limitArgument ?? null,
    keepMarkup: keepMarkup ?? false,
    hold: hold ?? null,
  };
}
