"""Everything that knows MLflow: a row for each experiment, a run for each data stage that ran, the registered model."""
