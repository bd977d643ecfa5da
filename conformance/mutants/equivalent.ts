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
];
