"""Kubernetes: the only part that talks to the API server.

    access, kubeconfig, credentials   where the API server is, and as whom it is asked
    connection, client, errors        one request: a stream of bytes, or an error in plain words
    reflector, pods                   list and watch, kept up over cuts; pods' annotations
    nodelogs, journal_text, anchor    a node's own logs through the API server (NodeLogQuery)

`http.client` and not a Kubernetes library: see docs/explanation/dependencies.md. What is read is
decoded into the few fields that are used; nothing here writes to the cluster.
"""
