"""The OSNet workbench: models from a spec, data, training, export, search. Needs the extra `torch`."""
