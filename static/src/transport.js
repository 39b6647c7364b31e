// When and how batches leave: one request at a time for all tabs, a beacon when the page is left.
import { MAX_BATCH_BYTES, nextBatch } from './batch.js';
import { isWaiting } from './consent.js';
import { debug, safe } from './guard.js';
import { pausedUntil, pauseUntil, removeEvents, stored, takeFresh } from './queue.js';
import { endpoint } from './settings.js';

const TIMEOUT_MS = 3e4;
const STORAGE_LAG_MS = 100;
const MAX_BACKOFF_MS = 3e5;
const MAX_PAUSE_MS = 36e5;
const REFUSED_FOR_GOOD = /40[013]|41[35]/;

let isBusy;
let failures = 0;
let travelling = [];
let timer;
let due_at_ms = Infinity;

/** One sender among the tabs; without locks (plain http, old browsers, sandboxed frames) each tab for itself. */
const alone = (work) => {
  try {
    return navigator.locks.request('_df', work).catch(work);
  } catch {
    return work();
  }
};

/** Seconds or a date; NaN and absence count as no wish. */
const retryAfterMs = (header) => header * 1e3 || Date.parse(header) - Date.now() || 0;

/** The status of one POST, and how long the server wants to be left alone; status 0 when no answer came. */
const post = async ({ body, bytes }) => {
  try {
    const response = await fetch(endpoint(), {
      method: 'POST',
      body,
      credentials: 'include',
      keepalive: bytes <= MAX_BATCH_BYTES,
      signal: AbortSignal.timeout?.(TIMEOUT_MS),
    });
    return [response.ok ? 200 : response.status, retryAfterMs(response.headers.get('Retry-After'))];
  } catch {
    return [0, 0];
  }
};

/** Full jitter, on top of what the server asked for. */
const pauseMs = (wished_ms) =>
  Math.min(MAX_PAUSE_MS, Math.max(0, wished_ms)) + Math.random() * Math.min(MAX_BACKOFF_MS, 1e3 * 2 ** failures);

const deliver = async () => {
  const all = stored();
  if (!all[0] || pausedUntil() > Date.now() || isWaiting()) return;
  const batch = nextBatch(all);
  travelling = batch.events;
  if (!all[batch.events.length]) takeFresh();
  const [status, wished_ms] = await post(batch);
  travelling = [];
  if (status === 200 || REFUSED_FOR_GOOD.test(status)) {
    failures = 0;
    removeEvents(batch.events);
  } else {
    failures++;
    pauseUntil(Date.now() + pauseMs(wished_ms));
  }
  // Browsers pass a lock on sooner than a change of localStorage: a tab waiting for the lock would read the old queue.
  await new Promise((done) => setTimeout(done, STORAGE_LAG_MS));
};

const send = async () => {
  due_at_ms = Infinity;
  if (isBusy || isWaiting()) return;
  isBusy = true;
  try {
    await alone(deliver);
    isBusy = false;
    if (stored()[0]) sendWithin(0);
  } catch (error) {
    // Nothing was settled; the next event tries again.
    isBusy = false;
    debug(error);
  }
};

/** Sends in `wait_ms` at the latest, but not before the server wants to hear from us again. */
export const sendWithin = (wait_ms) => {
  const at_ms = Math.max(Date.now() + wait_ms, pausedUntil());
  if (at_ms < due_at_ms) {
    clearTimeout(timer);
    due_at_ms = at_ms;
    timer = setTimeout(safe(send), at_ms - Date.now());
  }
};

/**
 * The page is hidden or left: events that were never sent go by beacon, once. Older ones that still wait go before
 * them, or the new ones would overtake them. Nobody sees a beacon's answer, so all of them stay in the queue and go
 * again from the next page; their ids tell the server.
 */
export const sendLeaving = () => {
  if (isWaiting()) return;
  const ids = travelling.map((event) => event.id);
  let rest = takeFresh() ? stored().filter((event) => !ids.includes(event.id)) : [];
  while (rest[0]) {
    const { events, body } = nextBatch(rest);
    if (!navigator.sendBeacon(endpoint(), body)) return sendWithin(0);
    rest = rest.slice(events.length);
  }
};
