// Which other scripts run here: a pipeline may say that it only fills their gaps.
import { safe } from './guard.js';
import { cookie } from './platforms.js';

/** Whether Klaviyo's script has left its cookie, and knows who this is. A tag's stub that waits for a script that was
 * blocked does not count. */
export const surroundings = () => {
  const marks = window.klaviyo && cookie('__kla_id');
  const isKnown = safe(() => marks && /exchange_id|email/.test(atob(decodeURIComponent(marks))));
  return {
    klaviyo: { loaded: !!marks, known: !!isKnown() },
    tags: { gtag: !!window.google_tag_manager, fbq: !!window.fbq?.getState },
  };
};
