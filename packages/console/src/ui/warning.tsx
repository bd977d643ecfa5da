import { IconAlertTriangle } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import classes from './warning.module.css';

export function Warning({ children }: { children: ReactNode }) {
  return (
    <p className={classes.warning} role="note">
      <IconAlertTriangle size={16} aria-hidden />
      <span>{children}</span>
    </p>
  );
}
