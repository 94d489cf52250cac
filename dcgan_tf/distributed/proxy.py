"""Exceptions to the proxy in http_proxy, which gRPC and Python's libraries use."""

import os
from collections.abc import Sequence

OF_ALL, OF_GRPC = "no_proxy", "no_grpc_proxy"


def reach_directly(hosts: Sequence[str]) -> None:
    """Adds hosts to those that this process reaches without a proxy."""
    # Each library reads the first of its variables that is set.
    before = os.environ.get(OF_ALL) or os.environ.get(OF_ALL.upper(), "")
    for name, exceptions in ((OF_ALL, before), (OF_GRPC, os.environ.get(OF_GRPC, ""))):
        if name == OF_ALL or exceptions:
            os.environ[name] = ",".join([exceptions, *hosts] if exceptions else hosts)
