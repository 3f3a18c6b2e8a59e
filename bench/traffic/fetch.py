#!/usr/bin/env python3
"""Makes a record of plays for `go run ./bench -only hits -plays FILE` from published data. Nothing of it is in this repository.

    fetch.py OUT            downloads, checks and converts the record below
    fetch.py OUT FILE.rda   converts a copy that is there already
    fetch.py OUT FILE.tsv   converts a file in the form of the "Last.fm 1K users" data set
                            (user, ISO 8601 time, artist id, artist, track id, title; tabs)

The record: every song that 25 classic rock stations of the United States played in one week of June 2014, 37,673 plays
of 2,230 songs, gathered by FiveThirtyEight for "Why Classic Rock Isn't What It Used To Be" and published under CC BY 4.0
(github.com/fivethirtyeight/data, classic-rock). It is fetched from the R package that carries the same table
(github.com/rudeboybert/fivethirtyeight), 297 kB.

OUT gets lines of seconds since 1970, listener and track, separated by tabs, in the order of their time.
"""
import bz2, datetime, hashlib, os, struct, sys, urllib.request

URL = "https://raw.githubusercontent.com/rudeboybert/fivethirtyeight/master/data/classic_rock_raw_data.rda"
SHA256 = "0ef7b1c265e4958cda6cd8a650b0f96ef581b9afde93a24388178771c7785515"


class Reader:
    """R's serialisation, version 2, in XDR form (R Internals, section 1.8): as much of it as a data frame takes."""

    def __init__(self, data):
        if not data.startswith(b"RDX2\nX\n"):
            raise ValueError("not an R data file of version 2")
        self.data, self.at, self.refs = data, 7 + 12, []

    def take(self, n):
        if n < 0 or self.at + n > len(self.data):
            raise ValueError("the file ends early")
        self.at += n
        return self.data[self.at - n : self.at]

    def int(self):
        return struct.unpack(">i", self.take(4))[0]

    def item(self):
        flags = self.int()
        kind, attributes = flags & 0xFF, flags & 0x200
        if kind == 254:  # NULL
            return None
        if kind == 255:  # a symbol met before
            return self.refs[(flags >> 8 or self.int()) - 1]
        if kind == 1:  # a symbol
            self.refs.append(None)
            self.refs[-1] = self.item()
            return self.refs[-1]
        if kind == 2:  # a list of pairs
            out = {}
            while flags & 0xFF == 2:
                if flags & 0x200:
                    self.item()
                key = self.item() if flags & 0x400 else None
                out[key] = self.item()
                flags = self.int()
            return out
        if kind == 9:  # a string
            n = self.int()
            return None if n == -1 else self.take(n).decode("utf-8", "replace")
        n = self.int()
        if kind in (10, 13):  # logical, integer
            value = list(struct.unpack(">%di" % n, self.take(4 * n)))
        elif kind == 14:  # double
            value = list(struct.unpack(">%dd" % n, self.take(8 * n)))
        elif kind in (16, 19):  # strings, list
            value = [self.item() for _ in range(n)]
        else:
            raise ValueError("kind %d at byte %d is not expected" % (kind, self.at))
        return (value, self.item()) if attributes else value


def from_rda(data):
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ValueError("the file is not the one that was looked at when this was written")
    columns, attributes = Reader(bz2.decompress(data)).item()["classic_rock_raw_data"]
    table = {n: c[0] if isinstance(c, tuple) else c for n, c in zip(attributes["names"], columns)}
    # The stations' pages were read now and then, so songs between two readings have the time of the later one. Numbers
    # count backwards from the latest song of a station: of songs with one time the lowest is the latest, and the others
    # are put before it at the pace of radio.
    rows = sorted(zip(table["callsign"], (int(u[len(c):]) for u, c in zip(table["unique_id"], table["callsign"])), table["time"], table["combined"]))
    before, behind = None, 0
    for station, _, at, song in rows:
        behind = behind + 1 if before == (station, at) else 0
        before = (station, at)
        yield at - 240 * behind, station, song


def from_lastfm(path):
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            f = line.rstrip("\n").split("\t")
            try:
                at = datetime.datetime.fromisoformat(f[1].replace("Z", "+00:00"))
            except (ValueError, IndexError):
                continue  # a heading, or a line cut short
            yield int(at.timestamp()), f[0], f[3] + " – " + f[5]


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    if len(sys.argv) == 3 and sys.argv[2].endswith(".tsv"):
        plays = from_lastfm(sys.argv[2])
    elif len(sys.argv) == 3:
        with open(sys.argv[2], "rb") as f:
            plays = from_rda(f.read())
    else:
        with urllib.request.urlopen(URL, timeout=60) as f:
            plays = from_rda(f.read(8 << 20))
    clean = lambda s: " ".join(str(s).split())
    rows = sorted((int(at), clean(who), clean(what)) for at, who, what in plays)
    with open(sys.argv[1] + ".part", "w", encoding="utf-8") as out:
        for row in rows:
            out.write("%d\t%s\t%s\n" % row)
    os.replace(sys.argv[1] + ".part", sys.argv[1])
    print("%d plays of %d tracks by %d listeners" % (len(rows), len({r[2] for r in rows}), len({r[1] for r in rows})))


main()
