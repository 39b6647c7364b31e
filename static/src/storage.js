// localStorage that may be forbidden, full, or not yet allowed: then the page's memory takes its place.
import { safe } from './guard.js';

const memory = {};
let mayStore;

/** Says when localStorage may be written to. */
export const storeWhen = (rule) => {
  mayStore = rule;
};

/** The names that begin with something, in order. */
export const namesOf = (prefix) =>
  Object.keys({ ...safe(() => localStorage)(), ...memory })
    .filter((name) => name.startsWith(prefix))
    .sort();

/** The value last saved, by this page or another one; undefined or null when there is none or it is unreadable. */
export const load = safe((name) => JSON.parse(name in memory ? memory[name] : localStorage.getItem(name)));

/** Keeps a JSON value; undefined removes it. What did not reach localStorage before is tried again, in order. */
export const save = (name, value) => {
  memory[name] = JSON.stringify(value);
  if (!mayStore()) return;
  try {
    for (const name in memory) {
      if (memory[name]) {
        localStorage.setItem(name, memory[name]);
      } else {
        localStorage.removeItem(name);
      }
      delete memory[name];
    }
  } catch {
    // Stays in memory, and hides what localStorage holds.
  }
};
