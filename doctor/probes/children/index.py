"""Asks package indexes whether they answer, all at once, in a process of its own because a resolver may hang.

Words: [--proxy URL] [--cert FILE] URL... It prints one JSON list.
It sends no password but that of a proxy in the environment.
"""

import http.client
import json
import os
import re
import socket
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request

TIMEOUT_S = 4.0
PATIENCE_S = 8.5
NO_HEAD = {405, 501}  # an index that refuses HEAD is there
NOT_HERE = {403, 404}  # some indexes have no page of their own, only those of packages


def answer_of(opener: "urllib.request.OpenerDirector", url: str, *, proxied: bool) -> "dict[str, object]":
    """Return what the index says: of itself, else of a package that every one of ours has."""
    said = ask(opener, url.rstrip("/") + "/", proxied=proxied)
    if said["said"] == "status" and said["status"] in NOT_HERE:
        said = ask(opener, url.rstrip("/") + "/torch/", proxied=proxied)
    if said["said"] == "status" and said["status"] in NO_HEAD:
        said = {"said": "ok", "status": 200, "detail": ""}
    return {"url": url, **said}


def ask(opener: "urllib.request.OpenerDirector", url: str, *, proxied: bool) -> "dict[str, object]":
    """Send one HEAD request."""
    request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "bevready-doctor"})  # noqa: S310
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            return {"said": "ok", "status": answer.status, "detail": ""}
    except urllib.error.HTTPError as why:
        return {"said": "proxy" if why.code == 407 else "status", "status": why.code, "detail": str(why.reason)}
    except urllib.error.URLError as why:
        return refusal(why.reason, proxied=proxied)
    except (OSError, ValueError, http.client.HTTPException) as why:
        return refusal(why, proxied=proxied)


def refusal(why: "object", *, proxied: bool) -> "dict[str, object]":
    """Name the kind of a failure; behind a proxy, a missing name or a closed door is the proxy's."""
    kinds = (
        (ssl.SSLCertVerificationError, "certificate"),
        (ssl.SSLError, "nonsense"),
        (socket.gaierror, "name"),
        (ConnectionError, "refused"),
        (TimeoutError, "silent"),
    )
    said = next((word for kind, word in kinds if isinstance(why, kind)), "nonsense")
    if isinstance(why, OSError) and "unnel connection failed" in str(why):
        said = "proxy"
    if proxied and said in {"name", "refused", "silent"}:
        said = "proxy"
    return {"said": said, "status": 0, "detail": re.sub(r"//[^/@\s]*@", "//", str(why))[:200]}


def is_proxied(proxies: "dict[str, str]", url: str) -> bool:
    """Return whether a request to this address goes through one of the proxies."""
    scheme, _, rest = url.partition("://")
    return scheme in proxies and not urllib.request.proxy_bypass(rest.partition("/")[0])


def opener_for(proxies: "dict[str, str]", certificate: str) -> "urllib.request.OpenerDirector":
    """Return an opener with these proxies and this bundle of certificates (else Python's)."""
    bundle = certificate if os.path.exists(certificate) else None  # noqa: PTH110 — a child starts fast without pathlib
    context = ssl.create_default_context(cafile=bundle)
    return urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=context)
    )


def ask_all(
    opener: "urllib.request.OpenerDirector", urls: "list[str]", proxies: "dict[str, str]"
) -> "list[dict[str, object]]":
    """Ask every index in a thread of its own; one that is late has not answered."""
    found: dict[str, dict[str, object]] = {}

    def note(url: str) -> None:
        found[url] = answer_of(opener, url, proxied=is_proxied(proxies, url))

    threads = [threading.Thread(target=note, args=(url,), daemon=True) for url in urls]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE_S
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = {"said": "silent", "status": 0, "detail": "no answer in time"}
    return [found.get(url, {"url": url, **late}) for url in urls]


def main(words: "list[str]") -> None:
    """Read the words, ask, print."""
    options = {"--proxy": "", "--cert": ""}
    while len(words) > 1 and words[0] in options:
        options[words[0]], words = words[1], words[2:]
    proxy = options["--proxy"]
    proxies = {"http": proxy, "https": proxy} if proxy else urllib.request.getproxies()
    try:
        opener = opener_for(proxies, options["--cert"])
    except (OSError, ssl.SSLError) as why:
        row = {"said": "certificate", "status": 0, "detail": "{}: {}".format(options["--cert"], why)}
        sys.stdout.write(json.dumps([{"url": url, **row} for url in words]))
        return
    sys.stdout.write(json.dumps(ask_all(opener, words, proxies)))


if __name__ == "__main__":
    main(sys.argv[1:])
