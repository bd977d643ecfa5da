import { IconMapOff } from '@tabler/icons-react';
import { type ErrorComponentProps, Link, useRouter } from '@tanstack/react-router';
import { Empty, Failure, Page } from '../ui/page.tsx';

export function NotFound() {
  return (
    <Page title="No such page">
      <Empty
        icon={IconMapOff}
        title="There is no page at this address"
        about={
          <Link to="/" className="gh-link">
            Go to the overview
          </Link>
        }
      />
    </Page>
  );
}

export function PageFailed({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  return (
    <Page title="Something failed">
      <Failure
        error={error}
        retry={() => {
          reset();
          void router.invalidate();
        }}
      />
    </Page>
  );
}

/** Where a page takes long to come; quiet, as it is about to. */
export function Pending() {
  return (
    <p className="gh-quiet" role="status">
      Loading…
    </p>
  );
}
