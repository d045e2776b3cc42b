// Errors in the user's language: what happened, and what to do.
import { TandemError } from '@tandem/client';
import { ref } from 'vue';
import { useI18n } from 'petite-vue-i18n';

type Field = TandemError['errors'][number];

/** names: labels for fields whose name means something else here. */
export function useProblems(names: Record<string, string> = {}) {
  const { t } = useI18n();

  /** One sentence: the translation of the code, or the server's own text. */
  function say(error: unknown): string {
    if (!(error instanceof TandemError)) return t('errors.unknown', { what: String(error) });
    if (error.code === 'invalid_request' && error.errors.length) return error.errors.map(sayField).join(' ');
    // A proxy answered with its own page: http_502 and so on.
    const known = `errors.${error.code.replace('http_413', 'file_too_large').replace(/^http_.*/, 'http')}`;
    return own(known, { seconds: error.retryAfter ?? 1 }) ?? sentence(error.message);
  }

  /** The error for a field. */
  function sayField({ field, detail }: Field): string {
    const known = `invalid.${names[field] ?? field}`;
    return own(known) ?? sentence(detail);
  }

  /** Our translation, if there is one; otherwise vue-i18n returns the key. */
  function own(key: string, values: Record<string, unknown> = {}): string | undefined {
    const text = t(key, values);
    return text === key ? undefined : text;
  }
  const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

  return { say, sayField };
}

/** Runs calls and keeps the last error. */
export function useAction(names?: Record<string, string>) {
  const { say, sayField } = useProblems(names);
  const busy = ref(false);
  const problem = ref('');
  /** Errors by field name. */
  const fields = ref<Record<string, string>>({});

  async function attempt(action: () => Promise<unknown>, matters = () => true): Promise<boolean> {
    problem.value = '';
    fields.value = {};
    try {
      await action();
      return true;
    } catch (error) {
      if (!matters()) return false;
      const all = error instanceof TandemError ? error.errors : [];
      fields.value = Object.fromEntries(all.map((one) => [one.field, all.length > 1 ? sayField(one) : say(error)]));
      problem.value = say(error);
      return false;
    }
  }

  let looks = 0;
  /** Runs a read, even while another call is running. */
  function look(action: () => Promise<unknown>): Promise<boolean> {
    const mine = ++looks;
    return attempt(action, () => mine === looks);
  }

  /** Runs an action that must not run twice at once: returns false while one is running. */
  async function run(action: () => Promise<unknown>): Promise<boolean> {
    if (busy.value) return false;
    busy.value = true;
    const done = await attempt(action);
    busy.value = false;
    return done;
  }

  return { run, look, busy, problem, fields };
}
