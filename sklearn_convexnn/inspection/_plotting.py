"""What the displays share: matplotlib, imported when something is drawn, and colours."""

from __future__ import annotations

import numpy as np

from sklearn_convexnn._optional import optional

# M. A. Petroff's colours, which scikit-learn uses for classes: distinct for colour-blind readers.
PETROFF_COLORS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)


def pyplot(caller):
    """``matplotlib.pyplot``, or an error that says how to get it."""
    return optional("matplotlib.pyplot", caller=caller, extra="plot")


def get_axes(ax, caller):
    """The axes to draw on; new ones if there are none."""
    plt = pyplot(caller)
    return plt.subplots()[1] if ax is None else ax


def three_panels(axes, caller):
    """Three axes, one above the other with a common x-axis; new ones if there are none."""
    if axes is None:
        _, axes = pyplot(caller).subplots(
            3, 1, sharex=True, figsize=(6, 6.5), height_ratios=(2, 1, 1), layout="constrained"
        )
    elif len(axes) != 3:
        raise ValueError(f"{caller} draws in three axes, got {len(axes)}.")
    return np.asarray(axes, dtype=object)


def class_colors(colors, n_classes):
    """RGBA colours (n_classes, 4) from a list of colours or the name of a colour map."""
    import matplotlib as mpl

    if colors is None and n_classes <= len(PETROFF_COLORS):
        colors = PETROFF_COLORS[:n_classes]
    if colors is None or isinstance(colors, str):
        colormap = mpl.colormaps["gist_rainbow" if colors is None else colors]
        steps = np.arange(n_classes)
        # A colour map made of single colours gives the first ones, any other an even choice.
        return colormap(steps if colormap.N < 256 else steps / max(1, n_classes - 1))
    if len(colors) != n_classes:
        raise ValueError(f"{n_classes} colours are needed, one per class, got {len(colors)}.")
    return mpl.colors.to_rgba_array(list(colors))


def label_axes(ax, xlabel, ylabel, defaults):
    """Set labels that were given, and the defaults where there are none yet."""
    for axis, label, default in zip((ax.xaxis, ax.yaxis), (xlabel, ylabel), defaults, strict=True):
        if label is not None or not axis.get_label_text():
            axis.set_label_text(default if label is None else label)
