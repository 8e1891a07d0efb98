"""The server of a team: PostgreSQL, an S3 store and MLflow, who may use them, and the DVC remote that leads there."""
