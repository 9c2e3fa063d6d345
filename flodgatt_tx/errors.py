"""
The refusals a client can meet, shared by HTTP and WebSocket, with the texts that Mastodon's own
server uses (clients and its specs compare them).
"""


class RefusalError(Exception):
    """
    A request that is answered with an error.

    *status* is an HTTP status code, *message* the text a client reads, and *retry_after* the
    seconds after which asking again makes sense, if that is known.
    """

    status = 500
    retry_after: int | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequestError(RefusalError):
    """The request names no stream that could be opened."""

    status = 400


class UnauthorizedError(RefusalError):
    """Who asks may not have what is asked for."""

    status = 401


class ForbiddenError(RefusalError):
    """The request was meant for somebody else, or comes from where nobody may."""

    status = 403


class MethodNotAllowedError(RefusalError):
    """The path exists, but not for this HTTP method."""

    status = 405


class TooManyRequestsError(RefusalError):
    """
    Who asks has, or does, too much of something already.

    *retry_after* is in seconds.
    """

    status = 429

    def __init__(self, message: str, retry_after: int = 30) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class HeaderTooLargeError(RefusalError):
    """The head of the request is longer than anybody's who means well."""

    status = 431


class UnavailableError(RefusalError):
    """A server that the answer depends on, Redis or PostgreSQL, does not answer."""

    status = 503
    retry_after = 5


MISSING_TOKEN = "Missing access token"
INVALID_TOKEN = "Invalid access token"
MISSING_SCOPES = "Access token does not have the required scopes"
UNKNOWN_CHANNEL = "Unknown channel requested"
UNKNOWN_STREAM = "Unknown stream type"
MISSING_TAG = "Missing tag name parameter"
TAG_TOO_LONG = "Tag name parameter is too long"
MISSING_LIST = "Missing list name parameter"
FOREIGN_LIST = "Not authorized to stream this list"
NOT_UNSUBSCRIBED = "Error unsubscribing from channel"
TOO_MANY_CONNECTIONS = "Too many connections"
TOO_MANY_LOGINS = "Too many failed logins"
TOO_MANY_SUBSCRIPTIONS = "Too many subscriptions"
TOO_MANY_MESSAGES = "Too many messages"
HEADER_TOO_LARGE = "Request header is too large"
FOREIGN_HOST = "Only under an address, or as localhost"
FOREIGN_ORIGIN = "Only for pages of this server"
METHOD_NOT_ALLOWED = "Method not allowed"
UNAVAILABLE = "Service temporarily unavailable"
UNEXPECTED = "An unexpected error occurred"
