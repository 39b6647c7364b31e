// What counts as one page, and its facts. They are taken when the page starts: by the time a batch leaves, a
// single-page application may show another one.
import { listen, safe } from './guard.js';

/** Without the fragment: it is not part of what the server knows as a page, and may carry tokens. */
const here = () => location.href.split('#')[0];

const withoutQuery = (url) => url.split('?')[0];

export let page;

export const startPage = (referrer, url = here()) => {
  page = { url, path: location.pathname, title: document.title, referrer };
};

/** The page that was loaded, with the address it was loaded by: an application may have cut its query off since. */
export const startFirstPage = () => {
  const loaded = performance.getEntriesByType?.('navigation')[0]?.name.split('#')[0];
  const isSame = loaded?.split('?')[0] === withoutQuery(here());
  startPage(document.referrer, isSame ? loaded : here());
};

/** Applications set the title after the route, and an async script may run before <title>: look once more. */
export const refreshTitle = ({ context }) => {
  if (context.page.url === page.url) context.page.title = document.title;
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
    listen('currententrychange', (event) => changed(event.navigationType === 'replace'), navigation);
  } else {
    listen('popstate', () => changed());
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
