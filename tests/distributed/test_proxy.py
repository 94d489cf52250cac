import os
import urllib.request

import pytest

from dcgan_tf.distributed import proxy


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"no_proxy": "node1,node2"}),
        ({"no_proxy": ".local"}, {"no_proxy": ".local,node1,node2"}),
        ({"NO_PROXY": ".local"}, {"NO_PROXY": ".local", "no_proxy": ".local,node1,node2"}),
        ({"no_grpc_proxy": "a,b"}, {"no_grpc_proxy": "a,b,node1,node2", "no_proxy": "node1,node2"}),
    ],
)
def test_hosts_are_added_to_those_reached_directly(monkeypatch, before, after):
    environment = {"http_proxy": "http://proxy:1", **before}
    monkeypatch.setattr(os, "environ", environment)
    proxy.reach_directly(["node1", "node2"])
    assert environment == {"http_proxy": "http://proxy:1", **after}
    assert urllib.request.proxy_bypass_environment("node1:2222")
    assert not urllib.request.proxy_bypass_environment("example.com")
    assert bool(urllib.request.proxy_bypass_environment("x.local")) == (".local" in str(before))
