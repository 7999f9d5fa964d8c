"""What axe finds on a page that stands open: of its structure, of its colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules that look at colours: the only ones whose answer a dark page can change."""
SHAPES = [*STANDARDS]
"""All standards but what they say of colours, which is most of the work and waits for the wide run."""
WITHOUT_COLOURS = {rule: {"enabled": False} for rule in COLOURS}
ENOUGH = {"resultTypes": ["violations"], "preload": False}
"""Otherwise most of the time goes into describing every element that is all right; no page has sound to fetch."""
SCRIPT = Axe().axe_script

MARK_REPEATED = """
() => {
  const times = new Map();
  const states = ["class", "role", "type", "disabled", "readonly", "href", "hidden", "open", "rel", "scope", "rowspan",
    "colspan", "tabindex"];
  const repeats = (element, above) => {
    const said = states.map(name => {
      const value = element.getAttribute(name);
      return value === null ? "" : name === "href" ? "href" : value;
    });
    for (const {name, value} of element.attributes)
      if (name.startsWith("aria-") && !/label|describedby|controls|owns|details/.test(name)
          || ["data-label", "data-part", "data-row"].includes(name))
        said.push(name + value);
    const path = `${above}>${element.localName}|${said.join("|")}`;
    const seen = (times.get(path) || 0) + 1;
    times.set(path, seen);
    let all = seen > 2;
    const inner = [];
    for (const child of element.children) {
      if (repeats(child, path)) inner.push(child);
      else all = false;
    }
    if (!all) for (const child of inner) child.setAttribute("data-repeated", "");
    return all;
  };
  repeats(document.body, "");
}
"""
"""Marks what looks like two others before it: the same elements with the same classes and states all the way up.

Style sheets give those the same colours (stripes of rows alternate by two), and looking
at colours is most of what axe does on a page with a long table.
"""


def findings(page: Page, rules: Sequence[str] = STANDARDS) -> list[str]:
    """Return what axe finds: of the colours in one of each kind of element, of all else everywhere."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(SCRIPT)
    runs: list[tuple[Any, dict[str, Any]]] = []
    if rules is COLOURS or rules is STANDARDS:
        page.evaluate(MARK_REPEATED)
        runs.append(({"exclude": [["[data-repeated]"]]}, {"runOnly": COLOURS}))
    if rules is not COLOURS:
        runs.append((None, {"runOnly": list(rules), "rules": WITHOUT_COLOURS}))
    violations = [
        violation
        for context, options in runs
        for violation in page.evaluate(
            "([context, options]) => axe.run(context || document, options).then(found => found.violations)",
            [context, ENOUGH | options],
        )
    ]
    return [
        f"{violation['id']}: {violation['help']} at {[node['target'] for node in violation['nodes']][:3]}"
        for violation in violations
    ]
