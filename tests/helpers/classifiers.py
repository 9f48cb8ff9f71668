"""Small classifiers on the command line."""


def classifying(steps):
    """Return the options of a training run."""
    how = ("--task", "classify", "--hidden", "8", "--lr", "0.05", "--backend", "numpy")
    return (*how, "--steps", str(steps))


def write_table(path, rows):
    """Write a table of (label, text), ten times over."""
    path.write_text("".join(f"{label}\t{text}\n" for label, text in rows * 10))
