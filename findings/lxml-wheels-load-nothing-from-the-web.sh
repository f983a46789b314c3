#!/usr/bin/env bash
# lxml 6.1's wheels can't load from http or ftp any more: no_network=False changes nothing, and DTDs and entities of the web are left out in silence.
#
# Versions: lxml 6.1.3 (wheel), whose libxml2 2.14.6 is built without its http and ftp clients (neither is in etree.LIBXML_FEATURES).
# Behaviour: with no_network=False, against a server on loopback that counts connections:
#   - etree.parse of an address, the HTML parser, ftp, XInclude, an included XML schema, document() in XSLT: an error, "failed to load" or
#     the like; nothing connects. The error for parse ends with "No such file or directory", as for a file.
#   - a DTD (load_dtd=True) and an external entity (resolve_entities=True) of the web: no error, nothing connects; the element lacks the
#     entity's text and the attributes that the DTD gives by default.
#   What is handed over as an open response, or by a Resolver of one's own, is parsed as before.
# For who tests: a test that "proves" that a parser with no_network=True stays off the network proves nothing: without it, it stays off, too.
#   Such a test needs a Resolver that counts. On a libxml2 of a distribution's the same code may go out.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lxml==6.1.3

cat >"$work/look.py" <<'EOF'
import io
import socket
import threading

from lxml import etree

print("lxml", etree.LXML_VERSION, "libxml2", etree.LIBXML_VERSION, sorted(etree.LIBXML_FEATURES))
assert not {"http", "ftp"} & etree.LIBXML_FEATURES
server = socket.create_server(("127.0.0.1", 0))
server.settimeout(0.3)
URL = f"http://127.0.0.1:{server.getsockname()[1]}/a"


def connections():
    count = 0
    while True:
        try:
            server.accept()[0].close()
        except TimeoutError:
            return count
        count += 1


def show(what, call, expected):
    try:
        outcome = call()
    except etree.LxmlError as error:
        outcome = type(error).__name__
    except OSError as error:
        outcome = f"OSError: {str(error).rpartition(': ')[2]}"
    count = connections()
    print(f"{what:18} connections: {count}  {outcome}")
    assert (outcome, count) == (expected, 0)


def parser(**options):
    return etree.XMLParser(no_network=False, **options)


XINCLUDE = f'<a xmlns:x="http://www.w3.org/2001/XInclude"><x:include href="{URL}"/></a>'
SCHEMA = f'<s:schema xmlns:s="http://www.w3.org/2001/XMLSchema"><s:include schemaLocation="{URL}"/></s:schema>'
STYLE = f"""<x:stylesheet version="1.0" xmlns:x="http://www.w3.org/1999/XSL/Transform">
<x:template match="/"><x:copy-of select="document('{URL}')"/></x:template></x:stylesheet>"""
NO_FILE = "OSError: No such file or directory"
show("parse", lambda: etree.parse(URL, parser()), NO_FILE)
show("parse, ftp", lambda: etree.parse(URL.replace("http", "ftp"), parser()), NO_FILE)
show("parse as HTML", lambda: etree.parse(URL, etree.HTMLParser(no_network=False)), NO_FILE)
show("XInclude", lambda: etree.fromstring(XINCLUDE, parser()).getroottree().xinclude(), "XIncludeError")
show("schema", lambda: etree.XMLSchema(etree.fromstring(SCHEMA, parser())), "XMLSchemaParseError")
show("XSLT", lambda: etree.XSLT(etree.fromstring(STYLE, parser()))(etree.fromstring("<a/>")), "XSLTApplyError")
dtd = f'<!DOCTYPE a SYSTEM "{URL}"><a/>'
show("DTD", lambda: etree.tostring(etree.fromstring(dtd, parser(load_dtd=True))).decode(), "<a/>")
entity = f'<!DOCTYPE a [<!ENTITY e SYSTEM "{URL}">]><a>text &e; more</a>'
show("entity", lambda: etree.fromstring(entity, parser(resolve_entities=True)).xpath("string()"), "text  more")


class Own(etree.Resolver):
    def resolve(self, url, public_id, context):
        return self.resolve_string("<!ATTLIST a b CDATA 'from the DTD'>", context)


mine = parser(load_dtd=True, attribute_defaults=True)
mine.resolvers.add(Own())
show("DTD, resolved", lambda: etree.fromstring(dtd, mine).get("b"), "from the DTD")
assert etree.parse(io.BytesIO(b"<a/>"), parser()).getroot().tag == "a"
EOF
"$work/venv/bin/python" -u "$work/look.py"
