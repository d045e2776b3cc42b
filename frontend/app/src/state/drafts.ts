// What stands in the composers of conversations that are not open.
export const drafts = new Map<string, string>();
