"""Names as Kubernetes makes them, out of a seeded random source."""

from __future__ import annotations

import random
from uuid import UUID

# No vowels and nothing that looks like one: k8s.io/apimachinery/pkg/util/rand
SAFE_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class Names:
    """Makes names; each call gives a new one."""

    def __init__(self, source: random.Random) -> None:
        self._random = source

    def uid(self) -> str:
        """A pod's uid: a random UUID."""
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def suffix(self) -> str:
        """The five letters at the end of a generated pod name."""
        return self._letters(5)

    def template_hash(self) -> str:
        """The pod-template-hash in the names of a ReplicaSet and its pods."""
        return self._letters(10)

    def trace_id(self) -> str:
        """32 hex digits."""
        return f"{self._random.getrandbits(128):032x}"

    def span_id(self) -> str:
        """16 hex digits."""
        return f"{self._random.getrandbits(64):016x}"

    def client_ip(self) -> str:
        """An address of the range for documentation, as a client's."""
        return f"203.0.113.{self._random.randrange(1, 255)}"

    def pod_ip(self) -> str:
        """An address of the pod network."""
        return f"10.244.{self._random.randrange(4)}.{self._random.randrange(2, 250)}"

    def _letters(self, n: int) -> str:
        return "".join(self._random.choice(SAFE_LETTERS) for _ in range(n))
