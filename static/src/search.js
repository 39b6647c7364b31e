// A search of the shop's own, by the names that shops give it. WordPress searches on its front page, with s.
const PLACES = /search|such|cherche|\/\?s=/i;
const NAMES = /^(q|s|search|query)$/;

/** The words that a page was searched by. */
export const searchOf = (url) => {
  for (const [name, words] of PLACES.test(url) ? new URL(url).searchParams : []) {
    if (NAMES.test(name)) return words.trim();
  }
};
