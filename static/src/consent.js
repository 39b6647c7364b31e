// The visitor's answer. It is read anew each time, so that an answer given in another tab counts here at once.
import { isAnswered, isDeniedByPlatform, isPatient, reports } from './platforms.js';
import { settings } from './settings.js';
import { load, save, storeWhen } from './storage.js';

const KEY = '_df_c';

const WORDS = { __proto__: null, true: 'granted', false: 'denied', granted: 'granted', denied: 'denied' };

/** The page's own words, null or undefined while unknown; they outlive the page. */
const own = () => load(KEY);

/** What travels in `context.consent`: the page's own words and what platforms report, a list where they are several. */
export const consentNow = () => {
  const gpc = navigator.globalPrivacyControl ? { gpc: true } : undefined;
  const all = [own() || gpc ? { ...own(), ...gpc } : [], reports()].flat();
  return all[1] ? all : all[0];
};

/** Asked to wait and not answered: nothing is stored and nothing is sent. */
export const isWaiting = () => (settings.consent === 'wait' && !own() && !isAnswered()) || isPatient();

/** Whether an address may be noted: nobody has said no to messages, nor is still being asked. */
export const mayIdentify = () => !isWaiting() && own()?.marketing !== 'denied' && !isDeniedByPlatform();

storeWhen(() => !isWaiting());

/**
 * Remembers an answer; a purpose left out keeps its former one.
 * Gives {answer, isWithdrawal}, or undefined when `given` answers nothing. A withdrawal takes back analytics or
 * marketing: the purposes for which events are collected at all.
 */
export const answerConsent = (given) => {
  const answer = { ...own() };
  let isAnswer, isWithdrawal;
  for (const purpose of ['functional', 'analytics', 'marketing', 'advertising']) {
    const word = WORDS[given[purpose]];
    if (word) {
      isAnswer = true;
      isWithdrawal ||= word < answer[purpose] && /analytics|marketing/.test(purpose); // 'denied' < 'granted'
      answer[purpose] = word;
    }
  }
  if (isAnswer) {
    answer.source = 'explicit';
    save(KEY, answer);
    return { answer, isWithdrawal };
  }
};
