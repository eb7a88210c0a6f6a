"""Images and containers of the pinned stacks, through the API that docker and podman speak. No model, no data set."""
