// Events that the server has not answered for: an entry each in localStorage, which all pages of the site share. An
// event is written there the moment it happens, since nobody is told of every page that ends. Nobody changes an entry
// once it is written, so a tab that still sees an older queue cannot write over a newer one.
import { safe } from './guard.js';
import { load, namesOf, save } from './storage.js';

const PREFIX = '_df_q';
const PAUSE = '_df_u';
const MAX_AGE_MS = 6048e5; // 7 days; the server takes no older `time`
const MAX_PAUSE_MS = 72e5; // more than the transport ever asks for: the clock was moved

let last_ms = 0;
let fresh = 0;

/** The newest so many stay. */
const trim = (max_events, max_chars) => {
  let chars = 0;
  namesOf(PREFIX)
    .reverse()
    .forEach((name, at) => {
      chars += JSON.stringify(load(name))?.length;
      if (at >= max_events || chars > max_chars) save(name);
    });
};

/** Adds an event at the end, and gives how many were never sent; throws when it has no JSON. */
export const addEvent = (event) => {
  last_ms = Math.max(last_ms + 1, Date.now());
  save(PREFIX + last_ms + event.id, event);
  if (!(++fresh % 100)) trim(500, 1e6);
  return fresh;
};

/** Whether there are events that were never sent; asked once before each attempt. */
export const takeFresh = () => {
  const count = fresh;
  fresh = 0;
  return count;
};

/** An event, when it is readable and not too old. */
const read = safe((name) => {
  const event = load(name);
  if (event.context.page && Date.now() - Date.parse(event.time) < MAX_AGE_MS) return event;
});

/** The whole queue, the oldest first. */
export const stored = () => namesOf(PREFIX).map(read).filter(Boolean);

/** When the server wants to hear from us again, in milliseconds since 1970. */
export const pausedUntil = () => {
  const until_ms = load(PAUSE);
  return until_ms < Date.now() + MAX_PAUSE_MS ? until_ms : 0;
};

/** Leaves the server alone until then, by beacon too; a queue that has to wait is a short one. */
export const pauseUntil = (until_ms) => {
  fresh = 0;
  save(PAUSE, until_ms);
  trim(200, 262144);
};

/** Keeps of the queue only what passes. */
const sift = (passes) => {
  for (const name of namesOf(PREFIX)) {
    const event = read(name);
    if (!event || !passes(event)) save(name);
  }
};

/** Takes away what the server has answered for good; it is well, so no pause. */
export const removeEvents = (done) => {
  const ids = done.map((event) => event.id);
  sift((event) => !ids.includes(event.id));
  save(PAUSE);
};

/** After a withdrawal: only what the server must know remains, the answers and the resets. */
export const purgeStored = () => sift((event) => /^(consent|reset)$/.test(event.name));
