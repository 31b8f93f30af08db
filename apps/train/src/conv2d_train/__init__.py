"""The conv2d command: data, train, eval, analyze, pack."""
