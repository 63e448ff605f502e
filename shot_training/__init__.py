"""Training, for the notebooks in `training/`: augmentation, recipes, and one trainer a framework."""
