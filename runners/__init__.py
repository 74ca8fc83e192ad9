"""Running searches: specs, presets, the run loop, checkpoints and the command line."""
