// How long a page was looked at, in GA4's way: the time for which it was visible.
let since_ms = 0;
let seen_ms = 0;

/** The page is in sight, or no longer. */
export const seen = (isVisible) => {
  const now_ms = performance.now();
  if (since_ms) seen_ms += now_ms - since_ms;
  since_ms = isVisible ? now_ms : 0;
};

/** Milliseconds since this was last asked; 0 when they are too few to tell of. */
export const takeEngagement = () => {
  seen(since_ms);
  const told_ms = Math.round(seen_ms);
  if (told_ms < 1e3) return 0;
  seen_ms = 0;
  return told_ms;
};
