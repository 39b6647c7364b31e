// getRandomValues and not randomUUID: the latter is missing on plain http.

/** 128 random bits as 32 hexadecimal digits. */
export const newSessionId = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => (byte + 256).toString(16).slice(1)).join('');

/** A version 4 UUID. */
export const newEventId = () => newSessionId().replace(/(.{8})(.{4}).(.{3}).(.{3})/, '$1-$2-4$3-a$4-');
