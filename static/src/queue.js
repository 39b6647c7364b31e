// Events not yet accepted by the server, each in exactly one place: `fresh` in this page's memory, or the stored
// queue that all pages of the site share.
import { load, save } from './storage.js';

const KEY = '_df_q';
const MAX_STORED = 200;
const MAX_STORED_CHARS = 262144;
const MAX_FRESH = 500;
const MAX_AGE_MS = 6048e5; // 7 days; the server takes no older `time`
const MAX_PAUSE_MS = 72e5; // more than the transport ever asks for: the clock was moved

export let fresh = [];

/** Adds an event at the end and gives the number of fresh ones; beyond 500, the oldest goes. */
export const addEvent = (event) => {
  if (fresh.push(event) > MAX_FRESH) fresh.shift();
  return fresh.length;
};

/** The stored queue: {events, paused_until_ms}. What is unreadable or too old is not there. */
export const stored = () => {
  const now_ms = Date.now();
  try {
    const { events, paused_until_ms } = load(KEY);
    return {
      events: events.filter((event) => event.context.page && now_ms - Date.parse(event.time) < MAX_AGE_MS),
      paused_until_ms: paused_until_ms < now_ms + MAX_PAUSE_MS ? paused_until_ms : 0,
    };
  } catch {
    return { events: [], paused_until_ms: 0 };
  }
};

/** Replaces the stored queue; the oldest events give way at 200 events or 256 KB. */
const store = (events, paused_until_ms) => {
  while (events.length > MAX_STORED || JSON.stringify(events).length > MAX_STORED_CHARS) events.shift();
  save(KEY, events.length ? { events, paused_until_ms } : undefined);
};

/** Moves the fresh events behind the stored ones, where they outlive this page. */
export const storeFresh = (paused_until_ms = stored().paused_until_ms) => {
  store(stored().events.concat(fresh), paused_until_ms);
  fresh = [];
};

/** Takes away what the server has answered for good, wherever it is by now; the server is well, so no pause. */
export const removeEvents = (done) => {
  const ids = done.map((event) => event.id);
  const isOpen = (event) => !ids.includes(event.id);
  fresh = fresh.filter(isOpen);
  store(stored().events.filter(isOpen), 0);
};

/** After a withdrawal: of the stored queue only what the server must know remains, the answers and the resets. */
export const purgeStored = () => {
  const { events, paused_until_ms } = stored();
  store(
    events.filter((event) => /^(consent|reset)$/.test(event.name)),
    paused_until_ms,
  );
};
