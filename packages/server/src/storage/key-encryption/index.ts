export { defaultKeyFile } from './file.ts';
export { type HeldKey, type KeyEncryptionState, type KeyRing, openKeyRing } from './key-ring.ts';
export { createRewrapper, type Rewrapper } from './rewrapper.ts';
