/** Labels of results have names of their own (`result-labels.ts`). These stand beside them. */

/** Which process has the texts that were read. */
export const READ_BY = 'read-by:';
/** No process has them all. */
export const SEVERAL = `${READ_BY}several`;
/** It has written a text somewhere after it had read sensitive data, which a later call could send off by its name. */
export const WROTE = 'wrote';
/** What it had read was changed in the database, so that it counts as having read everything. */
export const CHANGED = 'changed';
/** Of a dispatch: into which store the call writes what its task has read. */
export const storeMark = (store: string) => `store:${store}`;

export const isShown = (label: string) => !label.startsWith(READ_BY) && label !== WROTE;
