"""Docstrings found and cleaned, by hand."""

from __future__ import annotations

import ast

from course_lib.corpus.docstrings import clean_docstring, docstrings

NUMPY_STYLE = """Compute the mean along the axis.

    Returns the average of :class:`numpy.ndarray` elements [1]_; see :func:`~numpy.sum`
    and ``a.mean``.

    Parameters
    ----------
    a : array_like
        Array whose mean is wanted. If `a` is not an
        array, it is converted.
    axis : int, optional

    Notes
    -----
    .. note:: Sums are exact.

    .. math::

        m = \\\\frac{1}{n}

    The code is::

        x = 1

    ====  ====
    a     b
    ====  ====

    - one item
      goes on
    - another

    Examples
    --------
    Take two numbers.

    >>> np.mean([1, 2])
    1.5

    References
    ----------
    .. [1] A book.
    """


def test_a_numpy_docstring_by_hand() -> None:
    assert clean_docstring(NUMPY_STYLE).split("\n") == [
        "Compute the mean along the axis.",
        "Returns the average of ndarray elements; see sum and a.mean.",
        "a : array_like",
        "Array whose mean is wanted. If a is not an array, it is converted.",
        "axis : int, optional",
        "Sums are exact.",
        "The code is",
        "one item goes on",
        "another",
        "Take two numbers.",
    ]


def test_a_google_docstring_by_hand() -> None:
    docstring = """Apply a layer.

    Args:
        input (Tensor): the input of
            any shape.
        p (float): probability.

    Example:

    ```python
    >>> layer(x)
    ```

    Use [`Model.fit`] or [the guide](https://a.b).
    """
    assert clean_docstring(docstring).split("\n") == [
        "Apply a layer.",
        "Args:",
        "input (Tensor)",
        "the input of any shape.",
        "p (float)",
        "probability.",
        "Example",
        "Use Model.fit or the guide.",
    ]


def test_docstrings_are_found_with_their_names() -> None:
    """Of the module, its public classes and functions, methods too; not of private ones or what lies in functions."""
    source = '''
"""Module."""
def f():
    """F."""
    def inner():
        """Inner."""
class C:
    """C."""
    async def m(self):
        """M."""
    class D:
        """D."""
def _private():
    """Private."""
class _Hidden:
    def m(self):
        """Hidden."""
x = 1
add_docstr(torch.exp, r"""
    Exp.
    """.format(**common))
add_newdoc("numpy", "ndarray", ("sort", """Sort."""))
other("numpy", """Other.""")
add_docstr()
add_docstr(torch.log, undefined)
'''
    assert dict(docstrings(ast.parse(source), "m")) == {
        "m": "Module.",
        "m.f": "F.",
        "m.C": "C.",
        "m.C.m": "M.",
        "m.C.D": "D.",
        "torch.exp": "Exp.",
        "numpy.ndarray.sort": "Sort.",
    }
