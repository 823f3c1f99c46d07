"""What a page must keep to, found by parsing it: labels, CSRF tokens, one id a thing, no script or style inside."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"input", "img", "br", "hr", "link", "meta", "source"}
CONTROLS = {"input", "select", "textarea"}


class Page(HTMLParser):
    """A page, and what is wrong with it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.forms: list[dict[str, str]] = []  # action, method and the names of its fields with their values
        self.links: list[str] = []
        self._labels: set[str] = set()
        self._controls: list[tuple[str, str]] = []  # id and description of what needs a label
        self._ids: list[str] = []
        self._open: list[str] = []
        self._form: dict[str, str] | None = None
        self.feed(text)
        self.close()
        self.wrong += [f"<{tag}> is not closed" for tag in self._open]
        self.wrong += [f"id {id} twice" for id in sorted({id for id in self._ids if self._ids.count(id) > 1})]
        self.wrong += [f"no label: {about}" for id, about in self._controls if id not in self._labels]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):
            self._open.append(tag)
        if "id" in given:
            self._ids.append(given["id"])
        self.wrong += [f"<{tag}> has {name}" for name in given if name == "style" or name.startswith(("on", "hx-on"))]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.wrong.append(f"<{tag}> inside the page")
        if tag == "img" and "alt" not in given:
            self.wrong.append("an image without alt")
        if tag == "form":
            self._form = {"": f"{given.get('method', 'get')} {given.get('action', '')}"}
            self.forms.append(self._form)
        if tag == "a":
            self.links.append(given.get("href", ""))
        if tag == "label":
            self._labels.add(given.get("for", ""))
        if tag in CONTROLS:
            if self._form is not None:
                self._form[given.get("name", "")] = given.get("value", "")
            hidden = given.get("type") == "hidden"
            if not hidden and "aria-label" not in given:
                self._controls.append((given.get("id", ""), f"{tag} {given.get('name', '')}"))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"</{tag}> closes something else")
        if tag == "form":
            self._form = None

    def without_token(self) -> list[str]:
        """The forms that change something without a CSRF token."""
        return [form[""] for form in self.forms if form[""].startswith("post") and not form.get("csrf_token")]
