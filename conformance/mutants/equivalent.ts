/** Mutants that change nothing which anybody could notice, or that are no fault, each with why. By set, a pattern over the id. */
export const equivalents: { set: string; id: RegExp; because: string }[] = [
  {
    set: 'examples/quickstart',
    id: /^scope widened: policy exports#no-export-to-where-content-says action/,
    because: 'no other tool has an argument called destination with a role, so that it comes to no other call',
  },
  {
    set: 'examples/quickstart',
    id: /: policy refunds#money-moves-in-production-only/,
    because:
      'the only tools that move money or export are registered in production alone, so that no call elsewhere comes to it: it guards what may be registered later',
  },
  {
    set: 'examples/quickstart',
    id: /: tool everything\/trigger-(url-elicitation|sampling-request|sampling-request-async|elicitation-request-async)/,
    because: 'the server does not serve it to a client without these abilities, so that nobody can call it',
  },
  {
    set: 'examples/quickstart',
    id: /^(tier lowered|effects made harmless): tool shop\/(delete_order|drop_table)/,
    because: 'no template allows it',
  },
  ...['automation', 'coding', 'default', 'support'].map((pack) => ({
    set: `packs/${pack}`,
    id: /^domain dropped: template [a-z-]+ allow\[0\] |^entry dropped: template file-removal allow\[0\]$/,
    because: 'another entry of the template allows reading there, under the same condition if it has one',
  })),
  {
    set: 'packs/support',
    id: /^policy dropped: policy customer-data-stays/,
    because: 'no template of the pack allows an export: it guards what a workspace adds to them',
  },
  {
    set: 'packs/support',
    id: /^(scope widened: .* principal|tier lowered: .*)$/,
    because:
      'the built-in rules ask a person for such an account in every task: it says so for a workspace that switches them off',
  },
  {
    set: 'built-in rules',
    id: /^scope widened: policy flow#(chosen-after-reading|sensitive-url) action/,
    because: 'what the rule asks of the tool only tools of that group have',
  },
];
