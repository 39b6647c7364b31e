// localStorage that may be forbidden, full, or not yet allowed: then the page's memory takes its place.

const memory = {};
let mayStore;

/** Says when localStorage may be written to. */
export const storeWhen = (rule) => {
  mayStore = rule;
};

/** The value last saved, by this page or another one; undefined or null when there is none or it is unreadable. */
export const load = (key) => {
  try {
    return JSON.parse(memory[key] || localStorage.getItem(key));
  } catch {
    // Forbidden, or not written by us.
  }
};

/** Keeps a JSON value; undefined removes it. A value that does not reach localStorage hides the older one there. */
export const save = (key, value) => {
  const text = JSON.stringify(value);
  memory[key] = text;
  if (!mayStore()) return;
  try {
    if (text) {
      localStorage.setItem(key, text);
    } else {
      localStorage.removeItem(key);
    }
    delete memory[key];
  } catch {
    // Stays in memory.
  }
};
