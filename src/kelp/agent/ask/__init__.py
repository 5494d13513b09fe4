"""ask: questions of the server to this node are taken and answered.

No stage of the way of a log line: it runs beside them, and nothing of theirs waits for it. What the
answers are, whoever builds the agent says.
"""

from kelp.agent.ask.asks import Answerer, Asks, RefusedAskError

__all__ = ["Answerer", "Asks", "RefusedAskError"]
