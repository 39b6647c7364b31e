// Events that the page's own markup describes: data-df-event="add_to_cart" data-df-item_id="501" …
const PREFIX = 'data-df-';

/** All that an element and those around it say; the nearest word counts. */
const saidAround = (element) => {
  const said = {};
  for (; element; element = element.parentElement) {
    for (const { name, value } of element.attributes) {
      if (name.startsWith(PREFIX)) said[name.slice(PREFIX.length)] ??= value;
    }
  }
  return said;
};

const take = (element, tell) => {
  const { event, ignore, ...properties } = saidAround(element);
  tell(event, properties);
};

export const onClick = (target, tell) => {
  const element = target.closest?.(`[${PREFIX}event]`);
  if (element && element.tagName !== 'FORM') take(element, tell);
};

/** Where a click leads, if that is another site. */
export const outboundLink = (target) => {
  const link = target.closest?.('[href^=http]');
  return link && link.host !== location.host && link.href;
};

export const onSubmit = (form, tell) => {
  if (form.hasAttribute(PREFIX + 'event')) take(form, tell);
};
