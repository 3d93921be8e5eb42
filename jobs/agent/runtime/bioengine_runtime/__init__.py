"""The Python side of a replica.

The agent starts ``python -m bioengine_runtime`` with one socket as file
descriptor 3. Over it the package receives the application's files, builds the
deployment, and then answers Hypha frames and calls of other deployments.
"""
