interface Page<T, C> {
  items: T[];
  next: C | null;
}

/** All items of a list that comes in pages. */
export async function pages<T, C>(get: (after?: C) => Promise<Page<T, C>>): Promise<T[]> {
  const all: T[] = [];
  for (let after: C | undefined; ;) {
    const { items, next } = await get(after);
    all.push(...items);
    if (next === null) return all;
    after = next;
  }
}
