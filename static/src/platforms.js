// What the page's consent platform says, raw: the server reads it as docs/consent.md describes.
import { listen, safe } from './guard.js';
import { load, save } from './storage.js';

const KEY = '_df_p';
const MAX_PATIENCE_MS = 1e4;

// Platforms that keep their answer in cookies, each with what in their text tells one answer from another (the rest
// changes with every page), and what says that messages to the visitor are allowed.
const COOKIES = [
  ['onetrust', ['OptanonConsent', 'OptanonAlertBoxClosed'], /groups=[^&]*|Closed=.+/g, /C0004(:|%3A)1/],
  ['cookiebot', ['CookieConsent'], /.+/g, /marketing(:|%3A)true|=-1/],
  ['shopify', ['_tracking_consent'], /.+/g],
];

const EVENTS = ['OneTrustGroupsUpdated', 'CookiebotOnConsentReady', 'visitorConsentCollected'];

const said = {}; // by platform: {source, value}
let waitUntil_ms = 0;
let changed, wake;

export const cookie = (name) => ('; ' + document.cookie).split('; ' + name + '=')[1]?.split(';')[0];

/** By platform, what it last answered on any page: [answer, whether messages are allowed]. */
const answers = () => load(KEY) || {};

/** Every platform's report. */
export const reports = () => Object.values(said);

/** Whether the visitor's answer is known; what a platform lets hold until then is none. */
export const isAnswered = () => Object.keys(answers())[0];

export const isDeniedByPlatform = () => Object.values(answers()).some(([, verdict]) => verdict === false);

/** A tag asked for patience until its own platform has come. */
export const isPatient = () => Date.now() < waitUntil_ms;

/** Notes a report. `answer` is what is compared with the former one, empty while nobody was asked. */
const report = (source, value, answer, verdict) => {
  const known = answers();
  const [former, wasAllowed] = known[source] || [];
  said[source] = { source, value };
  if (answer && answer !== former) {
    waitUntil_ms = 0;
    save(KEY, { ...known, [source]: [answer, verdict] });
    changed(wasAllowed && verdict === false);
  }
};

const readCookies = () => {
  for (const [source, names, telling, allowing] of COOKIES) {
    const found = names.map((name) => [name, cookie(name)]).filter(([, text]) => text);
    if (found[0]) {
      const text = found.map((pair) => pair.join('=')).join('&');
      const isAsked = source !== 'onetrust' || found[1];
      const verdict = allowing ? allowing.test(text) : window.Shopify?.customerPrivacy?.marketingAllowed?.();
      report(source, Object.fromEntries(found), isAsked && '' + text.match(telling), verdict);
    }
  }
};

/**
 * Consent Mode, as the page tells its tags: gtag('consent', 'default' or 'update', {…}). A default for some regions is
 * kept apart: nobody here knows whether it is meant for this visitor.
 */
export const takeConsentMode = (kind, types) => {
  kind += types.region || '';
  const value = { ...said.consent_mode?.value };
  value[kind] = { ...value[kind], ...types };
  const wait_ms = Math.min(types.wait_for_update, MAX_PATIENCE_MS);
  if (wait_ms && !value.update) {
    waitUntil_ms = Date.now() + wait_ms;
    setTimeout(wake, wait_ms);
  }
  const isGranted = { ...value.default, ...value.update }.ad_storage === 'granted';
  report('consent_mode', value, value.update && JSON.stringify(value.update), isGranted);
};

const takeTcf = ({ eventStatus, gdprApplies, tcString, purpose }, isGood) => {
  if (isGood && /loaded|complete/.test(eventStatus)) {
    const value = gdprApplies ? tcString : { gdprApplies };
    report('tcf', value, JSON.stringify(value).slice(0, 60), !gdprApplies || !!purpose.consents[4]);
  }
};

/** Calls `told(isWithdrawal)` whenever a platform has a new answer, and `flush` when a tag's patience is over. */
export const watchPlatforms = (told, flush) => {
  changed = told;
  wake = safe(flush);
  readCookies();
  window.__tcfapi?.('addEventListener', 2, safe(takeTcf));
  for (const type of EVENTS) listen(type, readCookies);
};
