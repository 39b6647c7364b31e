// Events → the text of one request, as docs/wire.md describes it.
import { consentNow } from './consent.js';
import { refreshTitle } from './page.js';

export const MAX_BATCH_BYTES = 61440; // all keepalive requests of a page share 65,536
const MAX_BATCH_EVENTS = 100;

/** The parts of an event's context that the batch does not already say. */
const difference = (context, common) => {
  let own;
  for (const key in context) {
    if (JSON.stringify(context[key]) !== JSON.stringify(common[key])) (own ||= {})[key] = context[key];
  }
  return own;
};

/** Page, session and surroundings of the first event stand for all; the consent is the one in force now. */
const encode = (events) => {
  const context = {
    ...events[0].context,
    consent: consentNow(),
    locale: navigator.language,
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    screen: screen.width + 'x' + screen.height,
    library: { name: 'datafly.js', version: VERSION },
  };
  return JSON.stringify({
    sent_at: new Date().toISOString(),
    context,
    events: events.map((event) => ({ ...event, context: difference(event.context, context) })),
  });
};

/** As many of the first events as fit: {events, body, bytes}. A single event may be over the limit. */
export const nextBatch = (all) => {
  let events = all.slice(0, MAX_BATCH_EVENTS);
  events.forEach(refreshTitle);
  for (;;) {
    const body = encode(events);
    const bytes = new Blob([body]).size;
    if (bytes <= MAX_BATCH_BYTES || !events[1]) return { events, body, bytes };
    events = events.slice(0, events.length >> 1);
  }
};
