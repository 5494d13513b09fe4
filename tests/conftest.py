"""What holds for all tests.

The machine that runs them may be busy with other things: how long an example takes says nothing.
What the machine itself logs is none of an agent's that a test starts, unless the test says so.
"""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

settings.register_profile("kelp", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kelp")

for source in ("JOURNAL", "KMSG"):
    os.environ.setdefault(f"KELP_AGENT_{source}_ENABLED", "false")
os.environ.setdefault("KELP_AGENT_FILES", "[]")
os.environ.setdefault("KELP_AGENT_CONTAINERS_DIR", "")
os.environ.setdefault("KELP_AGENT_KUBERNETES", "off")

# In the background, a shell gives its children a Ctrl-C that is ignored, and they give it to
# theirs; the programs under test are to meet it as they do at a terminal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
