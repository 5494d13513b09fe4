"""Metric queries once the engine has answered: arrays of series by steps, and their algebra."""
