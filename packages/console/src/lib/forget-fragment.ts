/** What came in the fragment was for this page once: it stays neither in the address nor in the history. */
export const forgetFragment = () => history.replaceState(history.state, '', location.pathname + location.search);
