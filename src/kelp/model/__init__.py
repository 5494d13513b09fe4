"""What a log record is: its schema, labels, severities and stream ids. Imports nothing of ours."""
