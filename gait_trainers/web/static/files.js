// Files of the page.

export async function fetchText(path) {
  return (await found(path)).text();
}

export async function fetchJson(path) {
  return (await found(path)).json();
}

export async function fetchBytes(path) {
  return new Uint8Array(await (await found(path)).arrayBuffer());
}

/** What a .gz file holds; one that the server has unpacked on the way comes as it is. */
export async function unpacked(path) {
  const bytes = await fetchBytes(path);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function found(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${response.statusText}`);
  return response;
}
