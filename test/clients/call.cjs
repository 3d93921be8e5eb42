// Calls one method of a service with one positional argument and prints the answer.
// Arguments: service id, method, argument. Environment: SERVER_URL, TOKEN; needs hypha-rpc and ws of npm.
globalThis.WebSocket = require("ws");
const { hyphaWebsocketClient } = require("hypha-rpc");

(async () => {
  const [serviceId, method, argument] = process.argv.slice(2);
  const client = await hyphaWebsocketClient.connectToServer({ server_url: process.env.SERVER_URL, token: process.env.TOKEN });
  const service = await client.getService(serviceId);
  console.log(await service[method](argument));
  await client.disconnect();
  process.exit(0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
