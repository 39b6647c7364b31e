// Nothing of ours is ever thrown into the page.
import { isDebug } from './settings.js';

export const debug = (...facts) => isDebug() && console.log('datafly', ...facts);

/** The same function, but an error inside it ends here. Every listener, timer and entry point goes through this. */
export const safe = (fn) => (...args) => {
  try {
    return fn(...args);
  } catch (error) {
    debug(error);
  }
};

/** Hears an event on its way down: before the page's own listeners, and whether or not it bubbles. */
export const listen = (type, listener, target = window) => target.addEventListener(type, safe(listener), true);
