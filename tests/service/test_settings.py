"""`service.yaml`: what is wrong in it is named with the keys that are allowed there."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from gait_trainers.service.settings import GROUPS, Part, Settings, SettingsError, load_settings


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prot: 8080", f"prot: unknown; known keys are {', '.join(Settings.model_fields)}"),
        ("quota: {session: 5}", "quota.session: unknown; known keys of quota are sessions, hours, disk_mb"),
        (
            "mail: {host: a, sender: b, pasword: c}",
            "mail.pasword: unknown; known keys of mail are host, port, sender, user, password, starttls",
        ),
        (
            "mail: {host: a}",
            "mail.sender: missing; known keys of mail are host, port, sender, user, password, starttls",
        ),
        ("quota: {hours: -1}", "quota.hours: Input should be greater than or equal to 0"),
        ("port: many", "port: Input should be a valid integer, unable to parse string as an integer"),
    ],
)
def test_a_fault_lists_the_keys_of_its_own_group(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "service.yaml").write_text(text)
    with pytest.raises(SettingsError) as found:
        load_settings(tmp_path)
    assert str(found.value) == f"{tmp_path / 'service.yaml'}: {told}"


def test_every_group_of_settings_is_known() -> None:
    kinds = {key: (field.annotation, *get_args(field.annotation)) for key, field in Settings.model_fields.items()}
    parts = {(key, kind) for key in kinds for kind in kinds[key] if isinstance(kind, type) and issubclass(kind, Part)}
    assert parts == set(GROUPS.items())
