// What the site's engineer decided: the attributes of our tag, overruled by calls of config().

export const settings = {};
let base = location.origin + '/t/';

/** Reads the tag that loads us; `script` is null when another program runs our text. */
export const readTag = (script) => {
  if (script) {
    base = script.src;
    Object.assign(settings, script.dataset);
  }
};

/** Where batches go: beside the script unless told otherwise. Blocklists match on a `?`, so it never has one. */
export const endpoint = () => new URL(settings.endpoint || 'e', base).href.split(/[?#]/)[0];

export const isDebug = () => 'debug' in settings;

/** Whether something that the script does by itself is wanted: `data-page="off"` switches the page views off. */
export const isOn = (what) => settings[what] !== 'off';
