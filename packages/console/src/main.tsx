import './app/mantine-styles.ts';
import './app/tokens.css';
import { localStorageColorSchemeManager, MantineProvider } from '@mantine/core';
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { ApiError, isSignedOut } from './api/problem.ts';
import { createConsoleRouter } from './app/router.ts';
import { startServiceWorker } from './app/service-worker.ts';
import { cssVariables, theme } from './app/theme.ts';
import { Notices } from './ui/notices.tsx';

/** A session can end at any request; then the person signs in again and comes back to the same page. */
function whenSignedOut(error: unknown): void {
  // By a mail's link somebody sees one approval, and goes on seeing what has become of it.
  if (!isSignedOut(error) || /^\/(sign-in|mail\/)/.test(router.state.location.pathname)) return;
  queries.removeQueries({ queryKey: ['session'] });
  void router.navigate({ to: '/sign-in', search: { next: router.state.location.href } });
}

const queries: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError: whenSignedOut }),
  mutationCache: new MutationCache({ onError: whenSignedOut }),
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (failures, error) =>
        failures < 2 && !(error instanceof ApiError && error.status > 0 && error.status < 500),
    },
  },
});
const router = createConsoleRouter(queries);
const colorSchemes = localStorageColorSchemeManager({ key: 'gatehouse-color-scheme' });

startServiceWorker((path) => void router.navigate({ href: path }));

const rootElement = document.getElementById('root');
if (!rootElement) throw new Error('index.html has no #root');
createRoot(rootElement).render(
  <StrictMode>
    <MantineProvider
      theme={theme}
      cssVariablesResolver={cssVariables}
      colorSchemeManager={colorSchemes}
      defaultColorScheme="auto"
      deduplicateCssVariables={false}
    >
      <QueryClientProvider client={queries}>
        <Notices />
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
