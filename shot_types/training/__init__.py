"""Training: what a run is (`recipe`), what an epoch shows (`samples`, `augment`), and one trainer a framework."""
