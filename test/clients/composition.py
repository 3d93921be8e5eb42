"""Sends an array through the composition example and checks what comes back. Argument: service id."""

import asyncio
import json
import os
import sys

import numpy as np
from hypha_rpc import connect_to_server


async def main(service_id: str) -> None:
    client = await connect_to_server({"server_url": os.environ["SERVER_URL"], "token": os.environ["TOKEN"]})
    service = await client.get_service(service_id)
    image = np.linspace(0, 1, 1_000_000, dtype="float64").reshape(1000, 1000)
    result = await service.analyse(image)
    assert result["label"] == "cells", result["label"]
    assert abs(result["statistics"]["mean"] - 0.5) < 1e-9, result["statistics"]
    assert result["mask"].dtype == bool and int(result["mask"].sum()) == 500_000, result["mask"]
    assert (await service.fail_in_helper()).startswith("caught TypeError"), "error of a helper"
    print(json.dumps(await service.where()))
    await client.disconnect()


asyncio.run(main(sys.argv[1]))
