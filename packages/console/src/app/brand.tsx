import { Link } from '@tanstack/react-router';
import classes from './shell.module.css';

/** The gate: two towers, an arch, and the portcullis half down. */
export function Mark({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="#3b4fd8" />
      <path
        d="M7 25V10.500a1 1 0 0 1 1-1h2.500V7.500h3v2h5v-2h3v2H24a1 1 0 0 1 1 1V25h-4.500v-5.500a4.500 4.500 0 0 0-9 0V25z"
        fill="#fff"
      />
      <path d="M14.400 17.500V25M17.600 17.500V25M12 21.500h8" stroke="#fff" strokeWidth="1.3" opacity=".75" />
    </svg>
  );
}

export function Brand() {
  return (
    <Link to="/" className={classes.brand} aria-label="Gatehouse, overview">
      <Mark />
      Gatehouse
    </Link>
  );
}
