"""One file per demo: a pure function and a thin ipywidgets shell around it."""
