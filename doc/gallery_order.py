"""The order of the examples within their sections."""

# The easiest first; what is not named comes after them, by its file name.
_FIRST = (
    "plot_first_steps.py",
    "plot_path.py",
    "plot_decision_regions.py",
    "plot_rough_data.py",
    "plot_spline.py",
    "plot_minimal.py",
    "plot_small_network.py",
    "plot_neuron_encodings.py",
    "plot_gated.py",
    "plot_spline_depth.py",
    "plot_wedge.py",
)


class ByDifficulty:
    """A key for sphinx-gallery to sort files by."""

    def __init__(self, src_dir):
        self.src_dir = src_dir

    def __call__(self, filename):
        place = _FIRST.index(filename) if filename in _FIRST else len(_FIRST)
        return place, filename
