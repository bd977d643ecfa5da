import classes from './usage-bar.module.css';

/** How full something is: a number first, which is what screen readers say, and a bar. Beyond the limit the bar is full. */
export function UsageBar({ percent, words }: { percent: number; words?: string }) {
  const level = percent >= 100 ? 'full' : percent >= 80 ? 'near' : 'fine';
  const inNumbers = `${Math.floor(percent)} %`;
  return (
    <span className={classes.usage}>
      <span className="gh-numbers">{words ? `${words} (${inNumbers})` : inNumbers}</span>
      <span className={classes.track} aria-hidden>
        <span data-level={level} style={{ width: `${Math.min(Math.max(percent, 0), 100)}%` }} />
      </span>
    </span>
  );
}
