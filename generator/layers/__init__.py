"""One module or package per nested stack. A layer never imports another layer."""
