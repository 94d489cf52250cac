"""The pictures of docs/how-it-works.md, each computed by the module of its name: python -m docs.figures NAME ..."""

# Name of the module -> what it takes on two CPU cores.
FIGURES = {
    "gradients": "2 seconds",
}
