"""Sphinx configuration. ``make docs`` builds the site into ``docs/_build/html`` and needs no network."""

from typing import Any

from sphinx.application import Sphinx

from nasbench_eval import __version__

project = "nbeval"
author = "The nbeval developers"
copyright = "2026, The nbeval developers"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
default_role = "code"  # docstrings mark code with single backticks too

myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": True}
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
add_module_names = False
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"nbeval {release}"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_show_sphinx = False
copybutton_exclude = ".linenos, .gp, .go"


def _keep_colons(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep the colon of a constant's docstring: napoleon takes the words before one in the first line for the type."""
    if what in ("attribute", "data", "property"):
        lines.insert(0, "")


def setup(app: Sphinx) -> None:
    """Run the hook before napoleon's, which has priority 500."""
    app.connect("autodoc-process-docstring", _keep_colons, priority=400)
