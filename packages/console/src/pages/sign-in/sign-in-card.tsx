import type { ReactNode } from 'react';
import { Mark } from '../../app/brand.tsx';
import classes from './sign-in.module.css';

/** What stands before the house, whichever way somebody comes in. */
export function SignInCard({ children }: { children: ReactNode }) {
  return (
    <main className={classes.page}>
      <div className={classes.card}>
        <div className={classes.brand}>
          <Mark size={40} />
          <h1>Gatehouse</h1>
        </div>
        {children}
      </div>
    </main>
  );
}
