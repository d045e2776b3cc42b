// Errors in the user's language: what happened, and what to do.
import { TandemError } from '@tandem/client';
import { ref } from 'vue';
import { useI18n } from 'vue-i18n';

type Field = TandemError['errors'][number];

/** names: what a field is called here, where another thing's field has the same name. */
export function useProblems(names: Record<string, string> = {}) {
  const { t, te } = useI18n();

  /** A sentence. The server's own where we have none for its code. */
  function say(error: unknown): string {
    if (!(error instanceof TandemError)) return t('errors.unknown', { what: String(error) });
    if (error.code === 'invalid_request' && error.errors.length) return error.errors.map(sayField).join(' ');
    // What stands between us and the server answers with a page of its own: http_502 and the like.
    const known = `errors.${error.code.replace(/^http_.*/, 'http')}`;
    return te(known) ? t(known, { seconds: error.retryAfter ?? 1 }) : sentence(error.message);
  }

  /** What does not fit in a field. */
  function sayField({ field, detail }: Field): string {
    const known = `invalid.${names[field] ?? field}`;
    return te(known) ? t(known) : sentence(detail);
  }

  const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

  return { say, sayField };
}

/** Runs calls and keeps what went wrong with the last one. */
export function useAction(names?: Record<string, string>) {
  const { say, sayField } = useProblems(names);
  const busy = ref(false);
  const problem = ref('');
  /** What does not fit, by the name of its field. */
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
  /** Runs what only looks something up, whatever else is under way. */
  function look(action: () => Promise<unknown>): Promise<boolean> {
    const mine = ++looks;
    return attempt(action, () => mine === looks);
  }

  /** Runs what is not to be done twice: nothing, and false, while one is under way. */
  async function run(action: () => Promise<unknown>): Promise<boolean> {
    if (busy.value) return false;
    busy.value = true;
    const done = await attempt(action);
    busy.value = false;
    return done;
  }

  return { run, look, busy, problem, fields };
}
