"""What a browser complains about while somebody looks at pages."""

from __future__ import annotations

from playwright.async_api import BrowserContext, ConsoleMessage, Dialog, Response

# That a page was refused is told by the page itself; the browser's own line says no more.
NO_SUCH_PAGE = "Failed to load resource"


def listen(window: BrowserContext) -> list[str]:
    """A list that grows: errors, warnings, what the policy forbids, and questions in a dialog."""
    complaints: list[str] = []
    pages: set[str] = set()

    def answered(response: Response) -> None:
        if response.request.is_navigation_request():
            pages.add(response.url)
        elif response.status >= 400:
            complaints.append(f"{response.status} {response.url}")

    def said(message: ConsoleMessage) -> None:
        told = message.text.startswith(NO_SUCH_PAGE) and message.location["url"] in pages
        if message.type in {"error", "warning"} and not told:
            complaints.append(f"{message.type}: {message.text} ({message.location['url']})")

    async def asked(dialog: Dialog) -> None:
        complaints.append(f"a dialog asked: {dialog.message}")
        await dialog.dismiss()

    window.on("response", answered)
    window.on("console", said)
    window.on("weberror", lambda error: complaints.append(f"error: {error.error}"))
    window.on("dialog", asked)
    return complaints
