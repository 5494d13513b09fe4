"""The pipeline of a query over single records, for what SQL cannot say exactly.

Semantics are those of Loki's pkg/logql/log, to the letter: precedence of labels, `_extracted`,
`__error__` and what a later stage makes of it. Rows come from the engine after everything that SQL
can decide has been decided there.
"""
