from tests.small_runs import parsed  # noqa: F401
