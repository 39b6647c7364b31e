// The address that somebody leaves in a form of the shop's, when the form is sent and not before.
const FIELDS = '[type=email],[autocomplete~=email],[name*=email i]';
const SECRETS = '[type=password],[autocomplete^=cc-],[name*=card i],[data-df-ignore]';
const ADDRESS = /^[^\s@]+@[^\s@]+\.[^\s@]{2,}$/;

/** The address; undefined where there is none, or the form is not to be read. */
export const addressIn = (form) => {
  if (form.closest('[data-df-ignore]') || form.querySelector(SECRETS)) return;
  for (const field of form.querySelectorAll(FIELDS)) {
    const address = field.value.trim().toLowerCase();
    if (ADDRESS.test(address)) return address;
  }
};
