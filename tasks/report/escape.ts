/** Text as it stands in HTML, in an attribute's quotes as well. */
export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
