// The page's side of the collector: the global `datafly`, its commands, and when things start.
import { onClick, onSubmit, outboundLink } from './clicks.js';
import { answerConsent, mayIdentify } from './consent.js';
import { seen, takeEngagement } from './engagement.js';
import { addressIn } from './forms.js';
import { debug, listen, safe } from './guard.js';
import { newEventId } from './ids.js';
import { watchLayer } from './layer.js';
import { page, startFirstPage, startPage, watchRoutes } from './page.js';
import { watchPlatforms } from './platforms.js';
import { productOfPage } from './products.js';
import { addEvent, purgeStored, stored } from './queue.js';
import { searchOf } from './search.js';
import { endSession, sessionNow } from './session.js';
import { isOn, readTag, settings } from './settings.js';
import { surroundings } from './surroundings.js';
import { sendLeaving, sendWithin } from './transport.js';

const BATCH_EVENTS = 10;
const BATCH_MS = 1e3;

const listeners = [];
let api, isStarted, isGone;
let productTimer, lastProduct, isViewed, isViewedByUs;
let lastAddress; // that a form gave, of whoever uses the page now

const asObject = (value) => (value && typeof value === 'object' ? value : {});

const emit = (name, properties, { traits, ...context } = {}) => {
  if (!name || typeof name !== 'string') return;
  if (name === 'view_item') isViewed = true;
  const event = {
    id: newEventId(),
    name,
    time: new Date().toISOString(),
    properties: asObject(properties),
    traits,
    context: { page, session: sessionNow(), ...surroundings(), ...context },
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

const tellConsent = (isWithdrawal, context) => {
  if (isWithdrawal) purgeStored();
  emit('consent', {}, context);
  sendWithin(0);
};

// Without a prototype: 'constructor' is no command.
const commands = {
  __proto__: null,
  track: (name, properties) => emit(name, properties),
  page: (properties) => emit('page_view', properties),
  identify: (who, traits) => {
    const isId = who && Object(who) !== who;
    const known = { ...asObject(isId ? traits : who || traits) };
    if (isId) known.customer_id = '' + who;
    emit('identify', {}, { traits: known });
  },
  group: (id, traits) => emit('group', { ...asObject(traits), group_id: '' + id }),
  consent: (purposes) => {
    const given = answerConsent(purposes);
    if (given) tellConsent(given.isWithdrawal, { consent: given.answer });
  },
  reset: () => {
    emit('reset');
    endSession();
    lastAddress = '';
  },
  flush: () => sendWithin(0),
  config: (changes) => Object.assign(settings, changes),
  on: (what, listener) => what === 'event' && listeners.push(listener),
};

const run = safe(([command, ...args]) => {
  commands[command](...args);
});

/** The product of this page, unless the shop has told of it by now; one that an earlier page showed is left over. */
const offerProduct = safe(() => {
  clearTimeout(productTimer);
  productTimer = 0;
  const product = isOn('products') && productOfPage();
  const content = JSON.stringify(product);
  if (!product || content === lastProduct) return;
  lastProduct = content;
  if (isViewed) return;
  emit('view_item', product);
  isViewedByUs = true;
});

const fromLayer = (name, properties) => {
  const isOurs = name === 'view_item' && isViewedByUs;
  if (isOurs) {
    isViewedByUs = false;
  } else {
    emit(name, properties);
  }
};

const lookAtLayer = safe(() => isOn('layer') && watchLayer(settings.layer || 'dataLayer', fromLayer));

/** What a page says by itself as it begins; its product a little later, since the shop may tell of it, and better. */
const enterPage = () => {
  if (!isStarted) return;
  isViewed = isViewedByUs = false;
  if (isOn('page')) commands.page();
  lookAtLayer();
  const words = SEARCH && isOn('search') && searchOf(page.url);
  if (words) emit('search', { search_term: words });
  productTimer = setTimeout(offerProduct, BATCH_MS);
};

/** First what changes our behaviour, then the page itself, then what it called before we were here, in order. */
const start = () => {
  if (isStarted || document.prerendering) return;
  isStarted = true;
  const calls = Array.from(api.q);
  const isFirst = ([command]) => /^(config|on)$/.test(command);
  api.q = { push: run };
  calls.filter(isFirst).forEach(run);
  safe(watchPlatforms)(tellConsent, commands.flush);
  enterPage();
  calls.filter((call) => !isFirst(call)).forEach(run);
  listen('load', lookAtLayer);
  if (ENGAGEMENT) seen(!document.hidden);
  if (stored()[0]) sendWithin(BATCH_MS);
};

/** In the browser's spare time; where it does not tell, in a task of its own. */
const startSoon = () => (window.requestIdleCallback || setTimeout)(safe(start), { timeout: BATCH_MS });

/** What is known only now that the page ends, before the next one begins. */
const endPage = () => {
  start();
  if (!isStarted) return;
  if (productTimer) offerProduct();
  const looked_ms = ENGAGEMENT && isOn('engagement') && takeEngagement();
  if (looked_ms) emit('user_engagement', { engagement_time_msec: looked_ms });
};

const leave = () => {
  endPage();
  if (isStarted) sendLeaving();
};

const watchMarkup = () => {
  const tell = (name, properties) => isStarted && emit(name, properties);
  const click = ({ target }) => {
    onClick(target, tell);
    const link = OUTBOUND && isOn('outbound') && outboundLink(target);
    if (link) tell('click', { link_url: link, outbound: true });
  };
  const submit = ({ target }) => {
    onSubmit(target, tell);
    const email = isStarted && isOn('forms') && mayIdentify() && addressIn(target);
    if (email && email !== lastAddress) commands.identify({ email: (lastAddress = email) });
  };
  listen('click', click);
  listen('submit', submit);
};

const boot = () => {
  const stub = window.datafly;
  if (stub?.track) return; // loaded twice
  readTag(document.currentScript);
  startFirstPage();

  api = window.datafly = (...args) => {
    api.q.push(args);
  };
  api.q = stub?.q || [];
  for (const command in commands) api[command] = (...args) => api(command, ...args);

  watchRoutes(endPage, enterPage);
  watchMarkup();
  listen('pagehide', () => {
    leave();
    isGone = true;
  });
  listen('pageshow', (event) => {
    isGone = false;
    if (event.persisted) {
      startPage(page.referrer);
      lastProduct = undefined;
      enterPage();
    }
  });
  listen('visibilitychange', () => {
    if (document.hidden) leave();
    if (ENGAGEMENT) seen(!document.hidden);
  });

  if (document.prerendering) {
    listen('prerenderingchange', startSoon);
  } else if (document.readyState === 'loading') {
    listen('DOMContentLoaded', startSoon);
  } else {
    startSoon();
  }
};

safe(boot)();
