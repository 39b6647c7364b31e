// What counts as one page, and its facts. They are taken when the page starts: by the time a batch leaves, a
// single-page application may show another one.
import { listen, safe } from './guard.js';

/** Without the fragment: it is not part of what the server knows as a page, and may carry tokens. */
const here = () => location.href.split('#')[0];

const withoutQuery = (url) => url.split('?')[0];

export let page;

export const startPage = (referrer) => {
  page = { url: here(), path: location.pathname, title: document.title, referrer };
};

/** Applications set the title after the route, and an async script may run before <title>: look once more. */
export const refreshTitle = () => {
  page.title = document.title;
};

/**
 * Calls `leave` before and `enter` after each route of a single-page application. The fragment alone makes no page,
 * and a replaced URL makes one only when its path differs: shops clean their campaign parameters that way.
 */
export const watchRoutes = (leave, enter) => {
  let last = here();
  const changed = (isReplaced) => {
    const former = last;
    last = here();
    const part = isReplaced ? withoutQuery : String;
    if (part(last) !== part(former)) {
      leave();
      // The former URL brought the click ids; as a referrer it would bring them again.
      startPage(withoutQuery(former));
      enter();
    }
  };
  // A page may have a variable of that name, and then the browser's own is gone.
  if (window.navigation?.currentEntry) {
    listen(navigation, 'currententrychange', (event) => changed(event.navigationType === 'replace'));
  } else {
    listen(window, 'popstate', () => changed());
    for (const name of ['pushState', 'replaceState']) {
      const original = history[name];
      history[name] = function (...args) {
        const result = original.apply(this, args);
        safe(changed)(name === 'replaceState');
        return result;
      };
    }
  }
};
