"""What programs in containers say when they cannot do their work, whatever they are written in.

Only lines that are errors already are looked at (see finder), so a word suffices here that would be
too little elsewhere. Forms of Go, Java, Python, Node.js, Ruby, Rust, .NET, PHP, Perl and libc. The
first rule that fits counts.
"""

from __future__ import annotations

from kelp.base.problems.rule import Rule
from kelp.model.severity import ERROR


def _rule(reason: str, words: tuple[str, ...], pattern: str, example: str) -> Rule:
    return Rule(
        reason=reason,
        severity=ERROR,
        said_by="container",
        words=words,
        pattern=pattern,
        example=example,
    )


_IS_MISSING = (
    r"(?:(?:is|are|was|must be|has|have|should) )?(?:not (?:been )?(?:set|defined|found|provided"
    r"|specified|present|be empty)|unset|missing|required|undefined|empty)"
)
_NAME = r"[A-Z][A-Z0-9_]+"  # of an environment variable

CONTAINER_RULES = (
    # os.environ[...], envconfig, caarlos0/env, ENV.fetch, sh -u, Spring, and prose
    _rule(
        "MissingEnvironmentVariable",
        (
            "nvironment variable", "NVIRONMENT VARIABLE", "nvironment Variable", "env var",
            "KeyError: '", "unbound variable", "parameter not set", "resolve placeholder",
            "key not found: ", "missing value", "ENV_VAR",
        ),
        rf"(?i:missing (?:required )?env(?:ironment)?[ _]var(?:iable)?s?):? "
        rf"?\W{{0,3}}(?P<name>{_NAME})"
        rf"|(?i:(?:required |missing )?env(?:ironment)? var(?:iable)?s?) ?\W{{0,3}}"
        rf"(?P<name2>{_NAME})\W{{0,3}} ?(?i:{_IS_MISSING})"
        rf"|(?i:env(?:ironment)? var(?:iable)?s?:?) ?(?i:{_IS_MISSING})"
        rf"|\b(?P<name3>{_NAME}) (?i:env(?:ironment)? var(?:iable)?) (?i:is |was |must be |not )"
        rf"|KeyError: '(?P<name4>{_NAME})'"
        rf"|key not found: \"(?P<name5>{_NAME})\""
        rf"|(?P<name6>{_NAME}): (?:unbound variable|parameter not set)"
        rf"|required key (?P<name7>{_NAME}) missing value"
        r"|[Cc]ould not resolve placeholder '(?P<name8>[^']+)'"
        r"|(?:set|provide|define) the (?P<name9>[A-Z][A-Z0-9_]+) environment variable",
        "Error: required environment variable DATABASE_URL is not set",
    ),
    # import, require, class loading, dlopen
    _rule(
        "MissingModule",
        (
            "No module named", "ot find module", "ERR_MODULE_NOT_FOUND", "ClassNotFoundException",
            "NoClassDefFoundError", "loading shared librar", "cannot load such file",
            "ot load file or assembly", "n't locate ", "Failed opening required",
            "cannot open shared object file",
        ),
        r"No module named '?(?P<name>[\w.]+)"
        r"|[Cc]annot find (?:module|package) '(?P<name2>[^']+)'"
        r"|ClassNotFoundException: (?P<name3>[\w.$/]+)"
        r"|NoClassDefFoundError: (?P<name4>[\w.$/]+)"
        r"|error while loading shared libraries: (?P<name5>[^\s:]+):"
        r"|(?P<name6>[\w.+-]+): cannot open shared object file"
        r"|cannot load such file -- (?P<name7>\S+)"
        r"|ot load file or assembly '(?P<name8>[^',]+)"
        r"|Can't locate (?P<name9>\S+) in @INC"
        r"|Failed opening required '(?P<name10>[^']+)'"
        r"|ClassNotFoundException|ERR_MODULE_NOT_FOUND",
        "ModuleNotFoundError: No module named 'psycopg2'",
    ),
    # getaddrinfo, res_search, net.Resolver
    _rule(
        "NameLookupFailed",
        (
            "no such host", "ENOTFOUND", "EAI_AGAIN", "name resolution", "ervice not known",
            "UnknownHostException", "nodename nor servname", "getaddrinfo", "translate host name",
            "ot resolve host", "Name does not resolve", "lookup address information",
            "server misbehaving", "No address associated with hostname", "php_network_getaddresses",
            "No such host is known", "UnknownHost",
        ),
        r"lookup (?P<host>[^\s:]+)(?: on [^\s]+)?: (?:no such host|server misbehaving"
        r"|Temporary failure|i/o timeout)"
        r"|(?:ENOTFOUND|EAI_AGAIN) (?P<host2>[\w.-]+)"
        r"|UnknownHostException: (?P<host3>[\w.-]+)"
        r"|[Cc]ould not resolve host:? '?(?P<host4>[\w.-]+)"
        r"|[Cc]ould not translate host name \"(?P<host5>[^\"]+)\""
        r"|no such host|ENOTFOUND|EAI_AGAIN|[Tt]emporary failure in name resolution"
        r"|[Nn]ame or service not known|UnknownHostException|nodename nor servname provided"
        r"|getaddrinfo failed|getaddrinfo: |Name does not resolve|failed to lookup address "
        r"information"
        r"|No address associated with hostname|php_network_getaddresses|No such host is known",
        "dial tcp: lookup redis.shop.svc on 10.96.0.10:53: no such host",
    ),
    # connect(2): ECONNREFUSED
    _rule(
        "ConnectionRefused",
        ("onnection refused", "ECONNREFUSED", "ONNECTION REFUSED", "onnectionRefused",
         "actively refused", "onnection Refused"),
        r"dial (?:tcp|udp)[46]? (?P<address>[^\s,]+): connect: connection refused"
        r"|ECONNREFUSED (?P<address2>[\w.:\[\]-]+)"
        r"|[Cc]onnect(?:ion)? to (?P<address3>[\w.:\[\]/-]+?)(?:[,:]? \S{0,20}){0,3} "
        r"(?:failed|refused)"
        r"|(?i:connection refused: (?:/|\w*/)?)(?P<address4>[\w.-]+[:/][\d.:]+)"
        r"|(?i:connection ?refused)|ECONNREFUSED|actively refused",
        "dial tcp 10.96.14.2:5432: connect: connection refused",
    ),
    # open(2), bind(2), exec(2): EACCES, EPERM
    _rule(
        "PermissionDenied",
        ("ermission denied", "ERMISSION DENIED", "ermission Denied", "peration not permitted",
         "AccessDeniedException", "UnauthorizedAccessException"),
        r"(?:open|mkdir|stat|unlink|remove|chdir|chown|chmod|rename|exec|fork/exec|read|write"
        r"|create"
        r"|unix|bind) (?P<path>/[^\s:,'\"]*): (?:permission denied|operation not permitted)"
        r"|[Pp]ermission denied: '(?P<path2>[^']+)'"
        r"|(?:EACCES|EPERM): (?:permission denied|operation not permitted), \w{1,20} "
        r"'(?P<path3>[^']+)'"
        r"|AccessDeniedException: (?P<path4>/\S+)"
        r"|(?P<path5>/[^\s:,'\"]+): [Pp]ermission denied"
        r"|[Aa]ccess to the path '(?P<path6>[^']+)' is denied"
        r"|(?i:permission denied)|[Oo]peration not permitted|AccessDeniedException"
        r"|UnauthorizedAccessException",
        "open /var/lib/data/lock: permission denied",
    ),
    # the program's own heap, before the kernel has a word
    _rule(
        "OutOfMemory",
        ("OutOfMemoryError", "heap out of memory", "out of memory", "MemoryError", "std::bad_alloc",
         "OutOfMemoryException", "annot allocate memory", "Allowed memory size of"),
        r"OutOfMemoryError(?:: (?P<kind>[^\r\n]+))?|heap out of memory|runtime: out of memory"
        r"|fatal error: out of memory|\bMemoryError\b|std::bad_alloc|OutOfMemoryException"
        r"|[Cc]annot allocate memory|Allowed memory size of \d+ bytes exhausted",
        "java.lang.OutOfMemoryError: Java heap space",
    ),
    _rule(
        "AddressInUse", ("ddress already in use", "EADDRINUSE"),
        r"listen (?:tcp|udp)[46]? (?P<address>\S+): bind: address already in use"
        r"|EADDRINUSE:? address already in use (?P<address2>\S+)"
        r"|[Aa]ddress already in use|EADDRINUSE",
        "listen tcp :8080: bind: address already in use",
    ),
    _rule(
        "CertificateExpired",
        ("certificate has expired", "certificate is expired", "CERT_HAS_EXPIRED",
         "CertificateExpiredException", "certificate expired"),
        r"certificate (?:has |is )?expired|CERT_HAS_EXPIRED|CertificateExpiredException",
        "x509: certificate has expired or is not yet valid",
    ),
    _rule(
        "NoSpaceLeft", ("o space left on device",), r"[Nn]o space left on device",
        "write /data/wal/000012: no space left on device",
    ),
    _rule(
        "TooManyOpenFiles", ("oo many open files",), r"[Tt]oo many open files",
        "accept tcp [::]:8080: accept4: too many open files",
    ),
)  # fmt: skip
