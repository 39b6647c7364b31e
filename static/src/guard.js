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

export const listen = (target, type, listener) => target.addEventListener(type, safe(listener));
