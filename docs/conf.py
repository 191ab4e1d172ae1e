"""Configuration of the documentation. Warnings are errors; pictures and lists are made from the package itself."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from dicom_tables import attribute_tables  # noqa: E402
from figures import draw_all  # noqa: E402
from listings import write_all, write_list  # noqa: E402

draw_all(HERE / "generated" / "figures")
write_all(HERE / "generated")
write_list(HERE / "generated" / "dicom-attributes.md", attribute_tables())

project = "isoalign"
author = "the isoalign authors"
copyright = "the isoalign authors, Apache-2.0"  # noqa: A001 - Sphinx wants this name
release = version_of("isoalign")
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "mathml",
    "sphinx.ext.viewcode",
    "numpydoc",
]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "attrs_inline"]
myst_heading_anchors = 3

exclude_patterns = ["_build", "generated/*.md", "generated/figures", "figures", "images"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "show-inheritance": True}
numpydoc_show_class_members = False
numpydoc_validation_checks: set[str] = set()

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "isoalign"
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"index": []}
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
