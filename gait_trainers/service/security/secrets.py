"""Passwords and keys: made, hashed, compared in constant time."""

from __future__ import annotations

import hashlib
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from gait_trainers.service.errors import Invalid

LEAST, MOST = 10, 200  # characters of a password
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)  # OWASP's least: 19 MiB, two passes
NOBODY = _hasher.hash(secrets.token_hex(16))  # compared with where there is no such user, to take as long


def hash_password(password: str) -> str:
    """An argon2id hash; Invalid for a password that is too short or too long."""
    check_password(password)
    return _hasher.hash(password)


def check_password(password: str, where: str = "") -> None:
    """Invalid for a password that is too short or too long; `where` says where it was found."""
    if not LEAST <= len(password) <= MOST:
        raise Invalid(f"{where and f'{where}: '}a password has {LEAST} to {MOST} characters", "password")


def is_password(stored: str, password: str) -> bool:
    """Whether it is the password behind a hash."""
    if len(password) > MOST:
        return False
    try:
        return _hasher.verify(stored, password)
    except (Argon2Error, InvalidHashError):
        return False


def new_key() -> str:
    """256 random bits, as text."""
    return secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """What is kept of a key. A key is random, so that a plain hash of it cannot be guessed back."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def same(a: str, b: str) -> bool:
    """Whether two texts are equal, compared in constant time."""
    return secrets.compare_digest(a.encode("utf-8", "replace"), b.encode("utf-8", "replace"))
