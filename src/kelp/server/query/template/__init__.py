"""Go's text/template with Loki's functions, for line_format and label_format.

`lexer` and `parser` make a tree of a template, `evaluate` runs it, `functions` and its kin are what
a template can call. Sources: https://pkg.go.dev/text/template,
https://grafana.com/docs/loki/latest/query/template_functions/, https://masterminds.github.io/sprig/.
"""
