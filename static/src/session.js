// A visit: until 30 minutes pass without an event, across the tabs of one browser.
import { newSessionId } from './ids.js';
import { load, save } from './storage.js';

const KEY = '_df_s';
const IDLE_MS = 18e5;

/** {id, number} of the visit this moment belongs to; being asked counts as activity. */
export const sessionNow = () => {
  const now_ms = Date.now();
  const { id, number, seen_at_ms } = load(KEY) || {};
  const session =
    id && Math.abs(now_ms - seen_at_ms) < IDLE_MS
      ? { id, number }
      : { id: newSessionId(), number: (number | 0) + 1 };
  save(KEY, { ...session, seen_at_ms: now_ms });
  return session;
};

/** The next event starts a new visit. */
export const endSession = () => save(KEY, { number: sessionNow().number });
