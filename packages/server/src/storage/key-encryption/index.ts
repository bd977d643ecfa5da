export { defaultKeyFile } from './file.ts';
export { type HeldKey, type KeyEncryptionState, type KeyRing, openKeyRing, requireKeys } from './key-ring.ts';
export { keyEncryptionKeyOf } from './key-text.ts';
export { recordAddedKeys } from './record-added.ts';
export { createRewrapper, type Rewrapper } from './rewrapper.ts';
