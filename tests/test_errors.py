"""The refusals that a client can meet."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.errors import (
    BadRequestError,
    HeaderTooLargeError,
    MethodNotAllowedError,
    RefusalError,
    TooManyRequestsError,
    UnauthorizedError,
    UnavailableError,
)


class RefusalTests(SynchronousTestCase):
    """A refusal knows how it is told to the client."""

    def test_status(self) -> None:
        """Each kind of refusal has its HTTP status; what passes is worth asking again."""
        for kind, status, retry_after in (
            (RefusalError, 500, None),
            (BadRequestError, 400, None),
            (UnauthorizedError, 401, None),
            (MethodNotAllowedError, 405, None),
            (UnavailableError, 503, 5),
            (TooManyRequestsError, 429, 30),
            (HeaderTooLargeError, 431, None),
        ):
            refusal = kind("why")
            self.assertEqual(status, refusal.status, msg=repr(kind))
            self.assertEqual(retry_after, refusal.retry_after, msg=repr(kind))

    def test_retry_after(self) -> None:
        """When somebody may ask again is sometimes known."""
        self.assertEqual(7, TooManyRequestsError("why", 7).retry_after)

    def test_message(self) -> None:
        """The message is what the client reads and what a log shows."""
        refusal = UnauthorizedError("no entry")
        self.assertEqual("no entry", refusal.message)
        self.assertEqual("no entry", str(refusal))
