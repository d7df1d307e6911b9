// Server-sent events out of a body: name, data as JSON, and data as it was sent. Comments (signs of life) are no events.
export function events(body) {
  return body
    .split('\n\n')
    .map((frame) => frame.split('\n').filter((line) => line && !line.startsWith(':')))
    .filter((lines) => lines.length > 0)
    .map((lines) => {
      const field = (name) => lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2)).join('\n');
      const text = field('data');
      return { name: field('event') || 'message', text, data: JSON.parse(text) };
    });
}
