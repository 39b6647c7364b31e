// What the shop already tells its tags: GA4's e-commerce events in dataLayer, as objects or through gtag.
import { safe } from './guard.js';
import { takeConsentMode } from './platforms.js';

const BARE = /^(sign_up|login|search)$/; // GA4's events that have no items

const watched = new WeakSet();
let tell;

const isPlain = ([key, value]) => key !== 'event' && !/\./.test(key) && Object(value) !== value;

/** Beside the items only plain values: the rest belongs to the tags. */
const take = safe((item) => {
  const [command, second, third] = item?.length ? item : ['event', item.event, item.ecommerce || item];
  if (command === 'consent') {
    takeConsentMode(second, third);
  } else if (command === 'event' && (third?.items || BARE.test(second))) {
    tell(second, { ...Object.fromEntries(Object.entries(third || {}).filter(isPlain)), items: third?.items });
  }
});

/** Listens to the layer from now on, and takes what it holds already; called again, since a page may make it late. */
export const watchLayer = (name, told) => {
  const layer = window[name];
  if (!layer?.push || watched.has(layer)) return;
  watched.add(layer);
  tell = told;
  const original = layer.push;
  layer.push = function (...items) {
    const result = original.apply(this, items);
    items.forEach(take);
    return result;
  };
  Array.from(layer).forEach(take);
};
