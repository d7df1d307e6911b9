"""HTML: the text of the main part of a page, without navigation and other boilerplate, with its headings."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from docket_plugins.errors import Reason, RefusedFileError
from docket_plugins.parsers.common import Builder, decode
from docket_plugins.protocols import Extracted, File

NODES_MAX: Final = 2_000_000

_NEVER_TEXT: Final = frozenset(
    [
        "script",
        "style",
        "noscript",
        "template",
        "svg",
        "math",
        "iframe",
        "object",
        "embed",
        "canvas",
        "audio",
        "video",
        "head",
        "button",
        "select",
        "input",
        "textarea",
        "datalist",
        "progress",
        "meter",
        "dialog",
        "menu",
        "map",
        "nav",
        "aside",
        "footer",
    ]
)
_BLOCKS: Final = frozenset(
    [
        "address",
        "article",
        "blockquote",
        "body",
        "caption",
        "center",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "html",
        "legend",
        "li",
        "main",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
_LINES: Final = frozenset({"li", "tr", "dt", "dd", "caption"})
_CELLS: Final = frozenset({"td", "th"})
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_BOILERPLATE: Final = re.compile(
    r"(?:^|[\s_-])(?:breadcrumbs?|cookie|skip(?:-?link|nav)?|share|social|sharethis|addtoany|advert(?:isement)?|banner|"
    r"sidebar|related(?:-content)?|pager|pagination|menu|navbar|site-?footer|site-?header|print-?only|visually-hidden|"
    r"sr-only|usa-(?:banner|footer|header|nav|skipnav)|c-(?:share|banner|breadcrumb))(?:$|[\s_-])",
    re.IGNORECASE,
)
_ROLES: Final = frozenset({"navigation", "banner", "contentinfo", "search", "complementary", "dialog", "alert"})
_MAIN: Final = ("main", "[role=main]", "article", "#main-content", "#content", "#main")
_DEPTH_MAX: Final = 5_000
_CONTAINERS: Final = re.compile(
    rb"<(/?)(?:div|span|b|i|em|strong|font|table|blockquote|ul|ol|section|article)[\s>]", re.IGNORECASE
)
_SPACES: Final = re.compile(r"[ \t\n\r\f\xa0]+")


class HtmlParser:
    """Reads web pages."""

    media_types: Sequence[str] = ("text/html", "application/xhtml+xml")

    def parse(self, file: File) -> Extracted:
        """Takes the main part of the page, block by block."""
        _refuse_bombs(file.content)
        tree = LexborHTMLParser(decode(file.content, look_for_meta=True))
        root = _main_part(tree)
        if root is None:
            raise RefusedFileError(Reason.EMPTY, "there is no text in this page")
        title = tree.css_first("title")
        html = tree.css_first("html")
        language = (html.attributes.get("lang") if html else None) or None
        builder = _Page()
        builder.read(root)
        words = " ".join(title.text().split())[:500] if title else ""
        return builder.out.finish("page", title=words or None, language=language[:35] if language else None)

    def self_test(self) -> None:
        """Reads a small page."""
        page = b"<title>T</title><nav>Menu</nav><main><h1>One</h1><p>a <b>b</b></p><ul><li>x</ul></main>"
        read = self.parse(File("a.html", "text/html", page))
        assert read.text == "One\n\na b\n- x", read.text  # noqa: S101


def _refuse_bombs(content: bytes) -> None:
    """The time that building a tree takes grows with the square of its depth."""
    depth = 0
    for tag in _CONTAINERS.finditer(content):
        depth = max(0, depth - 1) if tag.group(1) else depth + 1
        if depth > _DEPTH_MAX:
            raise RefusedFileError(Reason.BOMB, f"the page is nested more than {_DEPTH_MAX} levels deep")


def _main_part(tree: LexborHTMLParser) -> LexborNode | None:
    body = tree.body
    if body is None:
        return None
    whole = len(body.text())
    for selector in _MAIN:
        found = tree.css(selector)
        # Several articles are a list of teasers, and a part that holds next to nothing is not the main one.
        if len(found) == 1 and len(found[0].text()) > max(200, whole // 10):
            return found[0]
    main = tree.css_first("main")
    return main if main is not None and main.text().strip() else body


def _is_boilerplate(node: LexborNode, tag: str) -> bool:
    if tag in _NEVER_TEXT:
        return True
    attributes = node.attributes
    if not attributes:
        return False
    if "hidden" in attributes or attributes.get("aria-hidden") == "true" or attributes.get("role") in _ROLES:
        return True
    names = f"{attributes.get('class') or ''} {attributes.get('id') or ''}"
    return len(names) > 1 and tag not in {"body", "html", "main", "article"} and bool(_BOILERPLATE.search(names))


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, str, bool]]:
    """Every node on entering it and, but for text, on leaving it, without recursion: pages may be nested deeply."""
    node, entered, count, root_id = root, True, 0, root.mem_id
    while True:
        count += 1
        if count > NODES_MAX:
            raise RefusedFileError(Reason.BOMB, f"the page has more than {NODES_MAX} parts")
        tag = str(node.tag)
        skip = entered and node.mem_id != root_id and (tag in {"_comment", "-comment"} or _is_boilerplate(node, tag))
        if entered and not skip:
            yield node, tag, True
            child = node.child
            if child is not None:
                node = child
                continue
        if not skip:
            yield node, tag, False
        # Comparing nodes compares their markup; their places in memory are what is meant.
        if node.mem_id == root_id:
            return
        following = node.next
        if following is not None:
            node, entered = following, True
            continue
        parent = node.parent
        if parent is None:
            return
        node, entered = parent, False


class _Page:
    """Collects inline text into blocks."""

    def __init__(self) -> None:
        self.out = Builder()
        self._inline: list[str] = []
        self._level = 0
        self._gap = "\n\n"
        self._preformatted = 0

    def read(self, root: LexborNode) -> None:
        """Reads a part of a page."""
        for node, tag, entering in _walk(root):
            if tag == "-text":
                if entering:
                    self._inline.append(node.text_content or "")
            elif tag == "br" and entering:
                self._inline.append("\n" if self._preformatted else "\x0b")
            elif tag in _CELLS:
                if not entering:
                    self._inline.append(" | ")
            elif tag in _BLOCKS:
                self._boundary(tag, entering=entering)
        self._flush()

    def _boundary(self, tag: str, *, entering: bool) -> None:
        self._flush()
        if tag == "pre":
            self._preformatted += 1 if entering else -1
        if tag in _HEADINGS:
            self._level = _HEADINGS[tag] if entering else 0
        if entering and tag in _LINES:
            self._gap = "\n"
            if tag == "li":
                self._inline.append("- ")
        elif tag in {"ul", "ol", "table", "dl"}:
            self._gap = "\n\n"

    def _flush(self) -> None:
        text = "".join(self._inline)
        if self._inline == ["- "]:
            # The item's text stands in a block of its own.
            return
        self._inline.clear()
        if not self._preformatted:
            lines = (_SPACES.sub(" ", line).strip() for line in text.split("\x0b"))
            text = "\n".join(line for line in lines if line)
        text = text.strip().removesuffix(" |").strip()
        if text and text != "-":
            self.out.block(text, level=self._level, gap=self._gap)
            self._gap = "\n\n"
