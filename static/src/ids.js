// getRandomValues and not randomUUID: the latter is missing on plain http.

const random = () => crypto.getRandomValues(new Uint8Array(16));

const hex = (bytes) => Array.from(bytes, (byte) => (byte + 256).toString(16).slice(1)).join('');

/** 128 random bits as 32 hexadecimal digits. */
export const newSessionId = () => hex(random());

/** A version 4 UUID. */
export const newEventId = () => {
  const bytes = random();
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  return hex(bytes).replace(/(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
};
