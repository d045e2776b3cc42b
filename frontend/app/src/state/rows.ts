// Messages as the rows of a transcript: what day it is, and whether a row goes on with what its person said before.
import type { Message } from '@tandem/client';

export interface Row {
  key: string;
  message: Message;
  /** Another day than the row before. */
  day: boolean;
  /** Its person begins to speak. */
  first: boolean;
  /** The new messages begin here. */
  fresh: boolean;
}

const PAUSE = 5 * 60_000; // ms, after which the name stands there again

export function rowsOf(messages: readonly Message[], newFrom?: string): Row[] {
  let before: Message | undefined;
  let day = '';
  return messages.map((message) => {
    const today = new Date(message.sent_at).toDateString();
    const row = {
      key: message.key,
      message,
      day: today !== day,
      fresh: message.key === newFrom,
      first: true,
    };
    row.first =
      row.day ||
      row.fresh ||
      before?.user !== message.user ||
      message.reply_to !== undefined ||
      Date.parse(message.sent_at) - Date.parse(before.sent_at) > PAUSE;
    day = today;
    before = message;
    return row;
  });
}
