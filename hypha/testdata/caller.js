// Calls the echo service of a Go client with the real hypha-rpc for JavaScript. Usage: node caller.js SERVICE_ID.
// hypha-rpc and ws come from NODE_PATH.
const assert = require("node:assert/strict");
globalThis.WebSocket = require("ws");
const { hyphaWebsocketClient } = require("hypha-rpc");

async function refused(call, text) {
  try {
    await call();
  } catch (error) {
    assert.ok(String(error).includes(text), `${error} does not say ${text}`);
    return;
  }
  assert.fail(`not refused: ${text}`);
}

async function values(svc) {
  const cases = [
    null, true, false, 0, -1, 255, 65536, 2 ** 40, -(2 ** 40), 1.5, Infinity, "", "ü€😀", [], {}, [[1], { a: null }], "x".repeat(70000),
    new Uint8Array([0, 1, 255]),
  ];
  for (const value of cases) assert.deepEqual(await svc.echo(value), value);
  assert.ok(Number.isNaN(await svc.echo(NaN)));
  assert.deepEqual(await svc.echo(new Map([[1, "one"], ["k", [2]]])), new Map([[1, "one"], ["k", [2]]]));
  assert.deepEqual(await svc.echo(new Set([1, "a"])), new Set([1, "a"]));
  for (const array of [new Int16Array([1, -2]), new Float32Array([0.5]), new Float64Array([1e300])]) {
    const got = await svc.echo(array);
    assert.deepEqual(Array.from(got), Array.from(array));
    assert.equal(got.constructor.name, array.constructor.name);
  }
  assert.equal(await svc.echo(new Date(1500)), "1970-01-01T00:00:01.5Z");
}

async function calls(svc) {
  assert.equal(await svc.add(1), 11);
  assert.equal(await svc.add(1, 2), 3);
  assert.equal(await svc.add({ a: 2, b: 5, _rkwargs: true }), 7);
  assert.equal(await svc.nest.deep.hello("js"), "hello js");
  await refused(() => svc.add(), "TypeError: Missing required argument: 'a'");
  await refused(() => svc.fail("KeyError"), "KeyError: as you wish");
  const me = await svc.whoami();
  assert.equal(me.ws, process.env.HYPHA_WORKSPACE);
}

async function callbacks(svc) {
  const seen = [];
  assert.equal(await svc.progress((i) => { seen.push(i); return i * 2; }, 10), 18);
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const { next } = await svc.counter();
  assert.equal(await next(), 1);
  assert.equal(await next(), 2);
  const all = await Promise.all(Array.from({ length: 50 }, (_, i) => svc.echo(i)));
  assert.deepEqual(all, Array.from({ length: 50 }, (_, i) => i));
}

async function large(svc) {
  const data = new Uint8Array(5_000_000).map((_, i) => i * 31);
  const got = await svc.echo(data);
  assert.equal(Buffer.compare(Buffer.from(got), Buffer.from(data)), 0);
  const result = await svc.big(3_000_000);
  assert.equal(result.length, 3_000_000);
  assert.equal(result[12345], (12345 * 7) % 256);
}

async function main(id) {
  const server = await hyphaWebsocketClient.connectToServer({
    server_url: process.env.HYPHA_URL, token: process.env.HYPHA_TOKEN, workspace: process.env.HYPHA_WORKSPACE,
  });
  const svc = await server.getService(id);
  for (const scenario of [values, calls, callbacks, large]) {
    await scenario(svc);
    console.log("ok", scenario.name);
  }
  await server.disconnect();
}

main(process.argv[2]).then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
