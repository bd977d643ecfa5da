import { type Environment, type MockTool, text } from './environment.ts';

interface Transaction {
  id: number;
  sender: string;
  recipient: string;
  amount: number;
  subject: string;
  date: string;
  recurring: boolean;
}

interface Account {
  balance: number;
  iban: string;
  transactions: Transaction[];
  scheduled_transactions: Transaction[];
}

const account = (environment: Environment) => environment.bank_account as Account;

/** A bank account with transactions and standing orders. */
export const payments: Record<string, MockTool> = {
  get_iban: (environment) => account(environment).iban,
  get_balance: (environment) => account(environment).balance,
  get_most_recent_transactions: (environment, { n = 100 }) => account(environment).transactions.slice(-Number(n)),
  get_scheduled_transactions: (environment) => account(environment).scheduled_transactions,
  send_money(environment, args) {
    const sent = { ...transactionOf(environment, args), recurring: false };
    account(environment).transactions.push(sent);
    return { message: `Transaction to ${sent.recipient} for ${sent.amount} sent.` };
  },
  schedule_transaction(environment, args) {
    const scheduled = { ...transactionOf(environment, args), recurring: args.recurring === true };
    account(environment).scheduled_transactions.push(scheduled);
    return { message: `Transaction to ${scheduled.recipient} for ${scheduled.amount} scheduled.` };
  },
  update_scheduled_transaction(environment, { id, ...changes }) {
    const found = account(environment).scheduled_transactions.find((each) => each.id === id);
    if (!found) return { message: `Transaction with ID ${id} not found.` };
    Object.assign(found, given(changes));
    return { message: `Transaction with ID ${id} updated.` };
  },
};

function transactionOf(environment: Environment, args: Record<string, unknown>): Omit<Transaction, 'recurring'> {
  const { transactions, scheduled_transactions, iban } = account(environment);
  const ids = [...transactions, ...scheduled_transactions].map(({ id }) => id);
  return {
    id: Math.max(0, ...ids) + 1,
    sender: iban,
    recipient: text(args.recipient),
    amount: Number(args.amount),
    subject: text(args.subject),
    date: text(args.date),
  };
}

const given = (changes: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== null && value !== undefined));

interface User {
  first_name: string;
  last_name: string;
  street: string;
  city: string;
  password: string;
}

const user = (environment: Environment) => environment.user_account as User;
const shown = ({ password: _, ...rest }: User) => rest;

/** Who holds the account, and how they sign in. */
export const accounts: Record<string, MockTool> = {
  get_user_info: (environment) => shown(user(environment)),
  update_user_info(environment, changes) {
    Object.assign(user(environment), given(changes));
    return shown(user(environment));
  },
  update_password(environment, { password }) {
    user(environment).password = text(password);
    return { message: 'Password updated.' };
  },
};
