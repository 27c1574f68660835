"""Where a password can be guessed, the document says that guessing gets slower."""

from __future__ import annotations

import pytest

WRONG = "not the password at all"
GUESSES = {
    ("put", "/api/v1/users/me/password"): {
        "current_password": WRONG,
        "new_password": "quite another horse battery",
    },
    ("post", "/api/v1/users/me/deletion"): {"password": WRONG},
}


@pytest.mark.parametrize(("method", "path"), GUESSES)
async def test_the_answer_to_too_many_guesses_is_documented(start_system, method, path):
    async with start_system(login_limit="2/minute") as system:
        ada = await system.traveller()
        http = system.bookings_http
        headers = {"authorization": f"Bearer {ada.token}"}
        for _ in range(3):
            reply = await http.request(method, path, json=GUESSES[method, path], headers=headers)
        document = (await http.get("/openapi.json")).json()
    assert reply.status_code == 429
    answer = document["paths"][path][method]["responses"]["429"]
    assert reply.json()["code"] in answer["content"]["application/problem+json"]["examples"]
