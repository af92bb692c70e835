"""The master page: what a client looks through for the scheduler's address, line by line, and what people read.

Source: BOINC client/scheduler_op.cpp, parse_master_file(): lines of up to 255 bytes.
"""

from html import escape
from typing import Final

LINE_BYTES_MAX: Final = 255

_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<!-- <scheduler>{scheduler}</scheduler> -->
<link rel="boinc_scheduler" href="{scheduler}">
<title>{name}</title>
</head>
<body>
<main>
<h1>{name}</h1>
<p>This is a BOINC project: machines that are idle compute for it.</p>
<p>To join, install BOINC and podman, then attach to</p>
<pre>{master}</pre>
<p>with the key that <a href="{home}/account">your account page</a> shows.</p>
<p><a href="{home}/leaders">Leader board</a></p>
</main>
</body>
</html>
"""


def master_page(name: str, master_url: str, scheduler_url: str) -> bytes:
    """The page as UTF-8. The addresses: absolute, without blanks, each shorter than 200 bytes."""
    page = _PAGE.format(
        name=escape(name),
        master=escape(master_url),
        scheduler=escape(scheduler_url),
        home=escape(master_url.rstrip("/").removesuffix("/boinc")),
    )
    return page.encode()
