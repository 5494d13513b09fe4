"""Reports as text for people: one module a subject, each with a function `lines`."""
