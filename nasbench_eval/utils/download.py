"""Download a file that is known by its hash: it is complete and the right one, or nothing is left."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from nasbench_eval.errors import NbevalError
from nasbench_eval.utils.files import make_public


def download(url: str, target: Path, known_hash: str, *, progress: bool, by_hand: str) -> None:
    """Download a file, unless it is already there with the right hash.

    Args:
        url: The address.
        target: Where to put it; folders are made.
        known_hash: The hash with its algorithm, such as ``sha256:...``.
        progress: Whether to show a progress bar on stderr.
        by_hand: What the user can do if it fails, for the message.

    Raises:
        NbevalError: If the transfer fails, the file is another one, or it cannot be written.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    new = not target.exists()
    algorithm = {"md5": "MD5 sum", "sha256": "SHA-256"}[known_hash.partition(":")[0]]
    try:
        pooch.retrieve(
            url,
            known_hash=known_hash,
            fname=target.name,
            path=target.parent,
            downloader=partial(_stream, progress=progress),
        )
        if new:
            make_public(target)  # pooch's temporary file is private
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else "an error"
        raise NbevalError(f"cannot fetch {url}: the server answers {status}; {by_hand}") from error
    except requests.ConnectionError as error:
        raise NbevalError(f"cannot fetch {url}: no connection; {by_hand}") from error
    except requests.exceptions.InvalidURL as error:
        raise NbevalError(f"cannot fetch {url}: it is no address of a file; {by_hand}") from error
    except requests.RequestException as error:
        raise NbevalError(f"cannot fetch {url}: the transfer was interrupted; {by_hand}") from error
    except ValueError as error:
        raise NbevalError(
            f"{url} is not the published file (its {algorithm} differs) and was discarded; {by_hand}"
        ) from error
    except OSError as error:
        # Pooch has words of its own for a folder that cannot be written.
        reason = error.strerror or getattr(error.__cause__, "strerror", None) or error
        raise NbevalError(f"cannot write {target}: {reason}") from error


def _stream(url: str, output_file: str, _: object, *, progress: bool) -> None:
    """Download in pieces; pooch's own downloader leaves the connection open when it fails."""
    import requests
    from tqdm import tqdm

    with requests.get(url, stream=True, timeout=30) as response:
        response.raise_for_status()
        size = int(response.headers.get("Content-Length", 0)) or None
        with (
            Path(output_file).open("wb") as file,
            tqdm(total=size, unit="B", unit_scale=True, desc=url.rpartition("/")[2], disable=not progress) as bar,
        ):
            for piece in response.iter_content(1 << 16):
                bar.update(file.write(piece))
