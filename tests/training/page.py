"""Page of HTML as a reader sees it."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """Parser that collects a page's references and checks that tags are closed in order."""

    VOID = ("meta", "img", "source", "br")

    def __init__(self, text):
        super().__init__()
        self.references, self.open, self.text = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.references += [
            value for name, value in attrs if name in ("src", "srcset", "href", "action")
        ]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
