// The page's side of the collector: the global `datafly`, its commands, and when things start.
import { answerConsent } from './consent.js';
import { debug, listen, safe } from './guard.js';
import { newEventId } from './ids.js';
import { page, startPage, watchRoutes } from './page.js';
import { addEvent, purgeStored, stored } from './queue.js';
import { endSession, sessionNow } from './session.js';
import { isAutomatic, readTag, settings } from './settings.js';
import { sendLeaving, sendWithin } from './transport.js';

const BATCH_EVENTS = 10;
const BATCH_MS = 1e3;

const listeners = [];
let api, isStarted, isGone;

/** A copy by way of JSON: the page may change its object before the batch leaves. Throws when it has no JSON. */
const copyObject = (value) => (value && typeof value === 'object' ? JSON.parse(JSON.stringify(value)) : {});

const emit = (name, properties, { traits, ...context } = {}) => {
  if (!name || typeof name !== 'string') return;
  const event = {
    id: newEventId(),
    name,
    time: new Date().toISOString(),
    properties: copyObject(properties),
    traits,
    context: { page, session: sessionNow(), ...context },
  };
  const waiting = addEvent(event);
  debug(name, event);
  if (isGone) {
    sendLeaving();
  } else {
    sendWithin(waiting < BATCH_EVENTS ? BATCH_MS : 0);
  }
  for (const listener of listeners) safe(listener)({ id: event.id, name });
};

const viewPage = (properties) => emit('page_view', properties);

// Without a prototype: 'constructor' is no command.
const commands = {
  __proto__: null,
  track: (name, properties) => emit(name, properties),
  page: viewPage,
  identify: (who, traits) => {
    const isId = typeof who === 'string' || typeof who === 'number';
    const known = copyObject(isId ? traits : who || traits);
    if (isId) known.customer_id = '' + who;
    emit('identify', {}, { traits: known });
  },
  consent: (purposes) => {
    const given = answerConsent(purposes);
    if (given) {
      if (given.isWithdrawal) purgeStored();
      emit('consent', {}, { consent: given.answer });
      sendWithin(0);
    }
  },
  reset: () => {
    emit('reset');
    endSession();
  },
  flush: () => sendWithin(0),
  config: (changes) => Object.assign(settings, changes),
  on: (what, listener) => what === 'event' && listeners.push(listener),
};

const run = safe(([command, ...args]) => {
  commands[command](...args);
});

/** First what changes our behaviour, then the page view, then what the page called before we were here, in order. */
const start = () => {
  if (isStarted || document.prerendering) return;
  isStarted = true;
  const calls = Array.from(api.q);
  const isFirst = ([command]) => /^(config|on)$/.test(command);
  api.q = { push: run };
  calls.filter(isFirst).forEach(run);
  if (isAutomatic()) viewPage();
  calls.filter((call) => !isFirst(call)).forEach(run);
  if (stored().events.length) sendWithin(BATCH_MS);
};

/** In the browser's spare time; where it does not tell, in a task of its own. */
const startSoon = () => (window.requestIdleCallback || setTimeout)(safe(start), { timeout: BATCH_MS });

const enterPage = () => isStarted && isAutomatic() && viewPage();

const leave = () => {
  start();
  if (isStarted) sendLeaving();
};

const boot = () => {
  const stub = window.datafly;
  if (stub?.track) return; // loaded twice
  readTag(document.currentScript);
  startPage(document.referrer);

  api = window.datafly = (...args) => {
    api.q.push(args);
  };
  api.q = stub?.q || [];
  for (const command in commands) api[command] = (...args) => api(command, ...args);

  watchRoutes(start, enterPage);
  listen(window, 'pagehide', () => {
    leave();
    isGone = true;
  });
  listen(window, 'pageshow', (event) => {
    isGone = false;
    if (event.persisted) {
      startPage(page.referrer);
      enterPage();
    }
  });
  listen(document, 'visibilitychange', () => document.hidden && leave());

  if (document.prerendering) {
    listen(document, 'prerenderingchange', startSoon);
  } else if (document.readyState === 'loading') {
    listen(document, 'DOMContentLoaded', startSoon);
  } else {
    startSoon();
  }
};

safe(boot)();
