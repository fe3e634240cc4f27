"""Sphinx configuration. `make docs` builds the site without network; warnings are errors."""

import os
import shutil
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]
# Shell cells of the guides run the `anogan` of this interpreter; two threads, as on the machine that the times are for.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ.setdefault("OMP_NUM_THREADS", "2")
STARTUP = HERE / "_build" / "ipython" / "profile_default" / "startup"
STARTUP.mkdir(parents=True, exist_ok=True)
shutil.copy(HERE / "_ext" / "plain_shell.py", STARTUP)
os.environ["IPYTHONDIR"] = str(STARTUP.parents[1])

import pages  # noqa: E402

import anogan  # noqa: E402

project = "anogan"
author = "The anogan authors"
copyright = author
version = release = anogan.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "mathml",
    "shell_cells",
]
templates_path = ["_templates"]
exclude_patterns = [
    "_ext",
    "_templates",
    "_build",
    "generated/*.md",
    "gallery/*.rst",
    "**/*.ipynb",
    "generated/gallery/*.py",
    "**.ipynb_checkpoints",
]
suppress_warnings = [
    "config.cache",  # functions in sphinx_gallery_conf
    "myst.header",  # reports of experiments may leave out a level of headings
    "misc.highlighting_failure",  # output of programs is not code
    "ref.python",  # words in single backticks, such as paths, may name several attributes
]
default_role = "py:obj"
nitpicky = False

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "anogan"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("sortable.js", {"defer": "defer"})]
html_favicon = "_static/logo.svg"
html_theme_options = {
    "logo": {
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo.svg",
        "text": "anogan",
        "alt_text": "anogan",
    },
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "search_as_you_type": True,
}
html_show_sourcelink = False
html_context = {"default_mode": "auto"}

autodoc_member_order = "groupwise"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autosummary_generate = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist", "attrs_inline"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build" / "cache")
nb_execution_timeout = 240
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "generated/gallery",
    "filename_pattern": r"/plot_",
    "example_extensions": {".py"},
    "within_subsection_order": "FileNameSortKey",
    "write_computation_times": False,
    "show_signature": False,
    "download_all_examples": False,
    "notebook_extensions": set(),
    "remove_config_comments": True,
    "min_reported_time": 1000,
    "show_memory": False,
    "matplotlib_animations": (True, "jshtml"),
    "thumbnail_size": (400, 280),
    "image_scrapers": ("matplotlib",),
    "copyfile_regex": r"",
}
linkcheck_ignore = [r"https?://.*"]  # links of the site are checked by tests/docs; others need a network

# Examples fit for a few seconds; their figures and texts say what was reached.
warnings.filterwarnings("ignore", module="sphinx_gallery")


def setup(app: object) -> None:
    """Write the pages that come from the code and from the records, before anything is read."""
    pages.write(HERE / "generated")
