// Messages as rows of a transcript, with their dates, and whether a row continues its author's previous one.
import type { Message } from '@tandem/client';

export interface Row {
  key: string;
  message: Message;
  /** The first row of a day. */
  day: boolean;
  /** The first row in a group by one author. */
  first: boolean;
  /** The first new message. */
  fresh: boolean;
}

const PAUSE = 5 * 60_000; // ms, after which the author's name is repeated

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
