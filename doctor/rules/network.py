"""NET: the package indexes answer. Judged only where somebody asked for the network (`--network`)."""

from doctor.facts import IndexAnswer, Network
from doctor.finding import Finding, rule
from doctor.words import say


@rule("NET01", "every package index can be reached", category="network-mirror")
def indexes_are_reached(network: Network) -> Finding | None:
    """Pip retries for minutes, skips the index, and may say `No matching distribution found`; uv gives up."""
    lost = [answer for answer in network.answers if answer.said in {"name", "refused", "silent", "nonsense"}]
    if not lost:
        return None
    words = {
        "name": say("the name of {url} is not known here", url=lost[0].url),
        "refused": say("{url} refuses the connection", url=lost[0].url),
        "silent": say("{url} gives no answer", url=lost[0].url),
        "nonsense": say("{url} does not answer as an index does", url=lost[0].url),
    }
    return Finding(
        saw=words[lost[0].said],
        expected="an answer within 4 s",
        fix=(
            _where(lost[0]),
            "pip config set global.index-url https://pypi.tuna.tsinghua.edu.cn/simple # or a mirror that you can reach",
            "behind a proxy: export HTTPS_PROXY=http://HOST:PORT",
        ),
        evidence=_evidence(lost),
    )


@rule("NET02", "every package index shows a certificate that is trusted", category="network-mirror")
def certificates_are_trusted(network: Network) -> Finding | None:
    """`CERTIFICATE_VERIFY_FAILED`: a company's proxy signs with its own authority, which Python does not know."""
    bad = [answer for answer in network.answers if answer.said == "certificate"]
    if not bad:
        return None
    return Finding(
        saw=say("the certificate of {url} is not trusted", url=bad[0].url),
        expected="a certificate of a known authority",
        fix=(
            "export PIP_CERT=/path/to/company.pem SSL_CERT_FILE=/path/to/company.pem # uv reads the second",
            "Debian, Ubuntu: sudo cp company.crt /usr/local/share/ca-certificates/ && sudo update-ca-certificates",
        ),
        evidence=_evidence(bad),
    )


@rule("NET03", "the proxy lets requests through", category="network-mirror")
def proxy_passes(network: Network) -> Finding | None:
    """Every download goes through it; pip and git only say that the connection failed."""
    stopped = [answer for answer in network.answers if answer.said == "proxy" and not answer.reached]
    if not stopped:
        return None
    asks = stopped[0].asks_for_password
    proxy = network.proxy or "the proxy"
    return Finding(
        saw=say("{proxy} asks for a password", proxy=proxy)
        if asks
        else say("{proxy} does not pass requests on to {url}", proxy=proxy, url=stopped[0].url),
        expected="a proxy that passes them on",
        fix=(
            ("export HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT",)
            if asks
            else ("unset HTTPS_PROXY https_proxy ALL_PROXY all_proxy", "or name the host in NO_PROXY")
        ),
        confidence="likely",
        evidence=_evidence(stopped),
    )


@rule("NET04", "every package index has what it is asked for", category="network-mirror")
def indexes_are_right(network: Network) -> Finding | None:
    """A wrong path or a missing password looks like `No matching distribution found`."""
    wrong = [answer for answer in network.answers if answer.said == "status" and not answer.reached]
    if not wrong:
        return None
    first = wrong[0]
    password = first.asks_for_password
    return Finding(
        saw=say("{url} answers {status}", url=first.url, status=first.status),
        expected="200, or a password in the configuration where it asks for one",
        fix=(
            _where(first),
            "with a password: https://USER:PASSWORD@HOST/simple" if password else "its address ends in /simple mostly",
        ),
        severity="problem" if first.status < 500 else "warning",
        evidence=_evidence(wrong),
    )


def _where(answer: IndexAnswer) -> str:
    return say("it is named in: {source}", source=answer.source)


def _evidence(answers: list[IndexAnswer]) -> tuple[str, ...]:
    return tuple(f"{answer} ({answer.detail})" if answer.detail else str(answer) for answer in answers)


RULES = (indexes_are_reached, certificates_are_trusted, proxy_passes, indexes_are_right)
