// The visitor's answer. It is read anew each time, so that an answer given in another tab counts here at once.
import { settings } from './settings.js';
import { load, save, storeWhen } from './storage.js';

const KEY = '_df_c';

/** The answer as it travels in `context.consent`; null or undefined while unknown. */
export const consentNow = () => load(KEY);

/** Asked to wait and not answered: nothing is stored and nothing is sent. */
export const isWaiting = () => settings.consent === 'wait' && !consentNow();

storeWhen(() => !isWaiting());

/**
 * Remembers an answer; a purpose left out keeps its former one.
 * Gives {answer, isWithdrawal}, or undefined when `given` answers nothing. A withdrawal takes back analytics or
 * marketing: the purposes for which events are collected at all.
 */
export const answerConsent = (given) => {
  const answer = { ...consentNow() };
  let isAnswer, isWithdrawal;
  for (const purpose of ['functional', 'analytics', 'marketing', 'advertising']) {
    const value = given[purpose];
    const word = value === true ? 'granted' : value === false ? 'denied' : value;
    if (word === 'granted' || word === 'denied') {
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
