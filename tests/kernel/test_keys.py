"""Key pairs: who signs, what is published, how one key follows another."""

from __future__ import annotations

import hashlib
import hmac
import json
import stat

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.utils import base64url_encode

from skyhold.kernel import people
from skyhold.kernel.auth import InvalidToken, Tokens, UnknownKey, access_kind
from skyhold.kernel.client import Unknown
from skyhold.kernel.ended_sessions import EndedSessions
from skyhold.kernel.keys import from_jwks, key_pairs, make_key
from skyhold.kernel.people import KEYS_FRESH_S, KEYS_OLD_S, KeysUnavailable, People, PublishedKeys
from skyhold.kernel.settings import SettingsError

WHO = {"sid": "s1", "role": "customer"}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "keys"


def pem(private, *, public=False):
    if public:
        return private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def of(pairs, clock):
    return Tokens(pairs, access_kind(600), clock)


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
def test_a_token_is_signed_by_the_key_and_names_it(folder, clock, algorithm):
    make_key(folder / "one.pem", algorithm)
    pairs = key_pairs(folder, None)
    token = of(pairs, clock).issue("ada", **WHO)
    header = jwt.get_unverified_header(token)
    assert (header["alg"], header["kid"]) == (algorithm, pairs.signing.kid)
    assert of(pairs, clock).verify(token)["sub"] == "ada"


def test_a_private_key_is_its_owners_alone(folder):
    make_key(folder / "one.pem", "EdDSA")
    assert stat.S_IMODE((folder / "one.pem").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        make_key(folder / "one.pem", "EdDSA")


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
def test_anybody_can_verify_by_what_is_published(folder, clock, algorithm):
    make_key(folder / "one.pem", algorithm)
    pairs = key_pairs(folder, None)
    published = json.loads(json.dumps({"keys": pairs.jwks()}))
    assert {"kty", "crv", "x", "kid", "use", "alg"} <= published["keys"][0].keys()
    assert "d" not in published["keys"][0]
    # A library that knows nothing of us:
    token = of(pairs, clock).issue("ada", **WHO)
    key = jwt.PyJWKSet.from_dict(published)[pairs.signing.kid]
    unlimited = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    claims = jwt.decode(token, key, algorithms=[algorithm], audience="skyhold", options=unlimited)
    assert claims["sub"] == "ada"


def test_the_name_of_a_key_is_its_thumbprint(folder):
    # The example of RFC 8037, appendix A: the key of A.2 and its thumbprint of A.3.
    raw = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    folder.mkdir()
    (folder / "rfc.pem").write_bytes(pem(ed25519.Ed25519PrivateKey.from_private_bytes(raw)))
    pairs = key_pairs(folder, None)
    assert pairs.signing.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert pairs.jwks()[0]["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"


def test_one_key_follows_another_without_a_token_being_refused(folder, clock):
    make_key(folder / "old.pem", "EdDSA")
    only_old = key_pairs(folder, None)
    of_old = of(only_old, clock).issue("ada", **WHO)
    make_key(folder / "new.pem", "ES256")
    both_old_signs, both_new_signs = key_pairs(folder, "old"), key_pairs(folder, "new")
    of_new = of(both_new_signs, clock).issue("ada", **WHO)
    for pairs in (both_old_signs, both_new_signs):
        assert of(pairs, clock).verify(of_old)
        assert of(pairs, clock).verify(of_new)
    (folder / "old.pem").unlink()
    with pytest.raises(UnknownKey):
        of(key_pairs(folder, "new"), clock).verify(of_old)


def test_a_retired_key_may_stay_without_its_private_half(folder, clock):
    old = ed25519.Ed25519PrivateKey.generate()
    folder.mkdir()
    (folder / "old.pem").write_bytes(pem(old))
    of_old = of(key_pairs(folder, None), clock).issue("ada", **WHO)
    (folder / "old.pem").write_bytes(pem(old, public=True))
    make_key(folder / "new.pem", "EdDSA")
    pairs = key_pairs(folder, None)  # the only one that can sign
    assert of(pairs, clock).verify(of_old)
    assert len(pairs.jwks()) == 2


def test_a_secret_and_a_key_pair_never_pass_for_one_another(folder, clock):
    make_key(folder / "one.pem", "EdDSA")
    pairs = key_pairs(folder, None)
    public = pem(pairs.signing.material, public=True).decode()
    by_secret = Tokens("a-key-for-tests-that-is-long-enough", access_kind(600), clock)
    with pytest.raises(InvalidToken):
        of(pairs, clock).verify(by_secret.issue("ada", **WHO))
    with pytest.raises(InvalidToken):
        by_secret.verify(of(pairs, clock).issue("ada", **WHO))
    # The oldest trick: the public key as the secret of an HMAC.
    claims = of(pairs, clock).verify(of(pairs, clock).issue("ada", **WHO))
    header = {"alg": "HS256", "typ": "at+jwt", "kid": pairs.signing.kid}
    signed = b".".join(base64url_encode(json.dumps(it).encode()) for it in (header, claims))
    digest = hmac.digest(public.encode(), signed, hashlib.sha256)
    forged = b".".join([signed, base64url_encode(digest)]).decode()
    with pytest.raises(InvalidToken):
        of(pairs, clock).verify(forged)


NOT_KEYS = {
    "no PEM": b"hello",
    "RSA": pem(rsa.generate_private_key(65537, 2048)),
    "another curve": pem(ec.generate_private_key(ec.SECP384R1())),
    "cut off": pem(ed25519.Ed25519PrivateKey.generate())[:60],
}


@pytest.mark.parametrize("content", NOT_KEYS.values(), ids=NOT_KEYS.keys())
def test_what_is_no_key_of_ours_is_refused_in_a_sentence(folder, content):
    folder.mkdir()
    (folder / "one.pem").write_bytes(content)
    with pytest.raises(SettingsError, match=r"^JWT_KEYS: .*\.$"):
        key_pairs(folder, None)


def test_which_key_signs_must_be_clear(folder):
    with pytest.raises(SettingsError, match="has no private key"):
        key_pairs(folder, None)
    make_key(folder / "one.pem", "EdDSA")
    make_key(folder / "two.pem", "EdDSA")
    with pytest.raises(SettingsError, match=r"several \(one, two\): JWT_SIGNING_KEY"):
        key_pairs(folder, None)
    with pytest.raises(SettingsError, match=r"no private key three\.pem"):
        key_pairs(folder, "three")


def test_of_a_published_set_only_what_can_be_used_is_taken(folder):
    make_key(folder / "one.pem", "EdDSA")
    ours = key_pairs(folder, None).jwks()[0]
    others = [
        {},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "oct", "alg": "HS256"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "rsa"},
        {"kty": "OKP", "crv": "Ed25519", "x": "!", "kid": "broken"},
        ours | {"use": "enc", "kid": "for encryption"},
        ours | {"d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "kid": "a private one"},
        {name: value for name, value in ours.items() if name != "kid"},
    ]
    assert set(from_jwks([*others, ours])) == {ours["kid"]}


# --- published by somebody else --------------------------------------------------------------


class Issuer:
    """Who signs tokens, and publishes keys, with a folder of them."""

    def __init__(self, folder, clock):
        self.folder, self.clock, self.asked, self.is_away = folder, clock, 0, False

    def issue(self, signing=None):
        return of(key_pairs(self.folder, signing), self.clock).issue("ada", **WHO)

    async def ask(self):
        self.asked += 1
        if self.is_away:
            raise Unknown("away")
        return [*key_pairs(self.folder, min(self.folder.glob("*.pem")).stem).jwks()]


@pytest.fixture
def issuer(folder, clock):
    make_key(folder / "one.pem", "EdDSA")
    return Issuer(folder, clock)


@pytest.fixture
def passing(monkeypatch):
    now = [1_000_000.0]
    monkeypatch.setattr(people.time, "monotonic", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


@pytest.fixture
def verifier(issuer, clock, passing):
    async def nobody(after):
        return []

    published = PublishedKeys(issuer.ask)
    ended = EndedSessions(nobody, ttl_s=600, clock=clock)
    return People(Tokens(published, access_kind(600), clock), ended, published)


async def test_without_the_secret_others_verify_by_the_published_keys(verifier, issuer):
    assert (await verifier.recognise(issuer.issue()))["sub"] == "ada"
    for _ in range(20):
        await verifier.recognise(issuer.issue())
    assert issuer.asked == 1


async def test_a_new_key_is_fetched_when_its_first_token_comes(verifier, issuer, folder, passing):
    await verifier.recognise(issuer.issue())
    make_key(folder / "two.pem", "ES256")
    passing(people.ASK_PERIOD_S)
    assert await verifier.recognise(issuer.issue("two"))
    assert issuer.asked == 2


async def test_tokens_of_made_up_keys_do_not_make_us_ask_for_ever(
    verifier, issuer, tmp_path, clock
):
    await verifier.recognise(issuer.issue())
    make_key(tmp_path / "eve" / "eve.pem", "EdDSA")
    forged = of(key_pairs(tmp_path / "eve", None), clock).issue("ada", **WHO)
    for _ in range(50):
        with pytest.raises(InvalidToken):
            await verifier.recognise(forged)
    assert issuer.asked == 1


async def test_a_withdrawn_key_is_worth_nothing_soon(verifier, issuer, folder, passing):
    token = issuer.issue()
    await verifier.recognise(token)
    make_key(folder / "two.pem", "EdDSA")
    (folder / "one.pem").unlink()
    passing(KEYS_FRESH_S)
    with pytest.raises(InvalidToken):
        await verifier.recognise(token)  # though it was verified before


async def test_known_keys_are_used_while_their_issuer_is_away_but_not_for_ever(
    verifier, issuer, passing
):
    token = issuer.issue()
    await verifier.recognise(token)
    issuer.is_away = True
    passing(KEYS_FRESH_S)
    assert await verifier.recognise(token)
    passing(KEYS_OLD_S)
    with pytest.raises(KeysUnavailable):
        await verifier.recognise(token)
    issuer.is_away = False
    passing(people.ASK_PERIOD_S)
    assert await verifier.recognise(token)


async def test_without_any_keys_nothing_is_decided(verifier, issuer):
    issuer.is_away = True
    with pytest.raises(KeysUnavailable):
        await verifier.recognise(issuer.issue())
