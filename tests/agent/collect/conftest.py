"""What several tests of the collect stage begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kubelet import Kubelet


@pytest.fixture
def kubelet(tmp_path: Path) -> Kubelet:
    """A kubelet's folder of pods."""
    return Kubelet(tmp_path / "pods")
