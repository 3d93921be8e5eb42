// Call the echo of the service SERVICE with the ordinary Node client; prints the answer as JSON.
globalThis.WebSocket = require("ws");
const { hyphaWebsocketClient } = require("hypha-rpc");

async function main() {
  const server = await hyphaWebsocketClient.connectToServer({ server_url: process.env.URL, token: process.env.TOKEN });
  const mirror = await server.getService(process.env.SERVICE);
  const answer = await mirror.echo({ text: "grüße", numbers: [1, 2.5], bytes: new Uint8Array([0, 255]) });
  console.log("answer " + JSON.stringify({ ...answer, bytes: Array.from(answer.bytes) }));
  await server.disconnect();
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
