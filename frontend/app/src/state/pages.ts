interface Page<T, C> {
  items: T[];
  next: C | null;
}

/** Loads all items of a paged list. */
export async function pages<T, C>(get: (after?: C) => Promise<Page<T, C>>): Promise<T[]> {
  const all: T[] = [];
  for (let after: C | undefined; ;) {
    const { items, next } = await get(after);
    all.push(...items);
    if (next === null) return all;
    after = next;
  }
}
