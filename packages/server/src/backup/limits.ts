/** Bounds of backups, with their reasons; documented in docs/reference/limits.md. */
export const backupLimits = {
  /** What a backup says of itself, before anything of it is believed: hundreds of logs fit. */
  manifestBytes: 1024 * 1024,
  /** Of the passphrase over key files, at least: whoever has the file can guess for as long as they like. */
  passphraseChars: 12,
  /** Memory that one guess at it costs (scrypt). A file cannot ask for another cost. */
  passphraseMemoryBytes: 128 * 1024 * 1024,
  /** Files with checkpoints that `log verify` takes at once. */
  checkpoints: 64,
};
