import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve
os._exit(7)