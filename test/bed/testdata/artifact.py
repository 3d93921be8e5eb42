"""Create, fill, commit and read an artifact with the ordinary client; prints what it read."""

import asyncio
import os

import httpx
from hypha_rpc import connect_to_server


async def main() -> None:
    async with connect_to_server({"server_url": os.environ["URL"], "token": os.environ["TOKEN"]}) as server:
        manager = await server.get_service("public/artifact-manager")
        artifact = await manager.create(alias="greeting", type="application", manifest={"name": "greeting"}, stage=True)
        upload = await manager.put_file(artifact.id, file_path="hello.txt")
        async with httpx.AsyncClient(trust_env=False) as http:
            (await http.put(upload, content=b"hello from S3")).raise_for_status()
            await manager.commit(artifact.id)
            download = await manager.get_file(artifact.id, file_path="hello.txt")
            print(server.config.workspace, artifact.id, (await http.get(download)).text)


asyncio.run(main())
