// Before the first paint, so that a dark room stays dark: the choice made in the console, else the system's.
const chosen = localStorage.getItem('gatehouse-color-scheme');
const scheme =
  chosen === 'light' || chosen === 'dark'
    ? chosen
    : matchMedia('(prefers-color-scheme: dark)').matches
      ? 'dark'
      : 'light';
document.documentElement.setAttribute('data-mantine-color-scheme', scheme);
