import { sha256Hex } from '../../platform/index.ts';

/** Under which a code, token or request is kept: whoever reads the table cannot use what stands there. */
export const artifactKey = (id: string) => sha256Hex(id);
