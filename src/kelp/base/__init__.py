"""What every part needs and none owns: settings, files, time, backoff, errors, telemetry."""
